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
