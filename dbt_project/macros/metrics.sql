{# Turns a relation with a numerator and a denominator a column into one row a metric.
   `counts` maps metric → [numerator, denominator]; a count has none as its denominator. #}
{% macro metric_rows(relation, area, counts) -%}
{%- for metric, parts in counts.items() %}
select
    unit_code,
    month_code,
    known_month,
    '{{ area }}' as area,
    '{{ metric }}' as metric,
    cast({{ parts[0] }} as bigint) as numerator,
    cast({{ parts[1] or 'null' }} as bigint) as denominator
from {{ relation }}
{%- if not loop.last %}
union all
{%- endif %}
{%- endfor %}
{%- endmacro %}
