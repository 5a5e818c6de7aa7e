{# Whether this build has taken over relations of an earlier one (publishing/kept.py): then a model of those that name
   what is touched in them (meta `touched`: its column, and the relation that holds the touched values of it) computes
   the touched rows alone, and they replace what was there. Other engines compute everything. #}
{% macro keeps() %}
  {{ return(adapter.dispatch('keeps')()) }}
{% endmacro %}

{% macro default__keeps() %}
  {{ return(false) }}
{% endmacro %}

{% macro duckdb__keeps() %}
  {{ return(execute and adapter.get_relation(target.database, 'staged', 'kept') is not none) }}
{% endmacro %}

{# Condition on the column of a model, to be read of a relation: touched where the build keeps the rest, else true. #}
{% macro is_touched(column, model_name) -%}
  {%- if keeps() -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.name == model_name and node.config.meta.touched -%}
      {{ column }} in (select {{ node.config.meta.touched[0] }} from {{ node.config.meta.touched[1] }})
    {%- else -%}
      true
    {%- endfor -%}
  {%- else -%}
    true
  {%- endif -%}
{%- endmacro %}

{# The same of a period, or of the one that a touched one is compared with. #}
{% macro is_touched_or_before(column, model_name) -%}
  ({{ is_touched(column, model_name) }}
  or {{ column }} in (
      select touched.previous_period_code
      from {{ ref('scored_periods') }} as touched
      where {{ is_touched('touched.period_code', model_name) }}
  ))
{%- endmacro %}

{# What the staging model of a dataset reads: every delivered row, or, where its table was taken over from an earlier
   build, the rows of the keys that came since - as the table has them, and as they came. #}
{% macro delivered_rows(dataset) -%}
  {%- if keeps() and load_cached_relation(this) is not none -%}
  (
      select * exclude (row_state) from {{ this }} where _key in (select _key from staged.new_{{ dataset }})
      union all by name
      select * from staged.new_{{ dataset }}
  )
  {%- else -%}
  {{ source('staged', dataset) }}
  {%- endif -%}
{%- endmacro %}

{# What `columns` say of the rows that are in one of two relations and not in the other, however often each is there. #}
{% macro changed_rows(now, before, columns) -%}
select distinct {{ columns }}
from (
    (select * from {{ now }} except all select * from {{ before }})
    union all
    (select * from {{ before }} except all select * from {{ now }})
) as changed
{%- endmacro %}
