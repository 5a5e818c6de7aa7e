{# Half away from zero to 2 decimals, after 9: binary noise must not decide a place (METRICS.md, Ranks). #}
{% macro round_score(column) -%}
  cast(round(cast({{ rounded(column, 9) }} as decimal(18, 9)), 2) as decimal(9, 2))
{%- endmacro %}

{# A double rounded half away from zero, as its binary value says. #}
{% macro rounded(value, places) -%}
  {{ adapter.dispatch('rounded')(value, places) }}
{%- endmacro %}

{% macro default__rounded(value, places) -%}
  round({{ value }}, {{ places }})
{%- endmacro %}

{# Spark rounds the shortest decimal that stands for the double, which lies on the other side of a half now and then. #}
{% macro spark__rounded(value, places) -%}
  round(cast({{ value }} as double) * 1e{{ places }}D, 0) / 1e{{ places }}D
{%- endmacro %}

{# The sum of doubles of a group in the order of a key: their last digit depends on the order. #}
{% macro ordered_sum(value, key) -%}
  {{ adapter.dispatch('ordered_sum')(value, key) }}
{%- endmacro %}

{% macro default__ordered_sum(value, key) -%}
  sum({{ value }} order by {{ key }})
{%- endmacro %}

{% macro spark__ordered_sum(value, key) -%}
  aggregate(
    array_sort(collect_list(named_struct('key', {{ key }}, 'part', cast({{ value }} as double)))),
    cast(null as double),
    (total, row) -> case when row.part is null then total else coalesce(total, 0D) + row.part end
  )
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
  {{ adapter.dispatch('digest_number')(column) }}
{%- endmacro %}

{% macro default__digest_number(column) -%}
  coalesce(cast(cast({{ column }} as decimal(28, 9)) as string), '~')
{%- endmacro %}

{# Spark writes a small decimal as 1E-9, a whole number never so: the point is set into the digits. #}
{% macro spark__digest_number(column) -%}
  {%- set scaled = 'round(cast(' ~ column ~ ' as double) * 1e9D, 0)' -%}
  {%- set digits = 'cast(cast(abs(' ~ scaled ~ ') as decimal(38, 0)) as string)' -%}
  {%- set padded = 'lpad(' ~ digits ~ ', greatest(length(' ~ digits ~ "), 10), '0')" -%}
  coalesce(
    case when {{ scaled }} < 0 then '-' else '' end
    || substr({{ padded }}, 1, length({{ padded }}) - 9) || '.' || right({{ padded }}, 9),
    '~'
  )
{%- endmacro %}
