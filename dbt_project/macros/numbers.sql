{# Half away from zero to 2 decimals, after 9: binary noise must not decide a place (METRICS.md, Ranks). #}
{% macro round_score(column) -%}
  cast(round(cast(round({{ column }}, 9) as decimal(18, 9)), 2) as decimal(9, 2))
{%- endmacro %}

{# 1 where the condition holds, else 0: for sums that mean the same on every engine. #}
{% macro one_if(condition) -%}
  case when {{ condition }} then 1 else 0 end
{%- endmacro %}

{# Points of a metric for a value: weight × how far from floor to target, clamped to [0, 1]. #}
{% macro points(value, metric) -%}
  {{ metric }}.weight * least(greatest(({{ value }} - {{ metric }}.floor) / ({{ metric }}.target - {{ metric }}.floor), 0), 1)
{%- endmacro %}

{# A number as fixed text for a digest: 9 decimals, `~` for null, the same on every engine. #}
{% macro digest_number(column) -%}
  coalesce(cast(cast({{ column }} as decimal(28, 9)) as string), '~')
{%- endmacro %}
