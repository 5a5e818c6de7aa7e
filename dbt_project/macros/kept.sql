{# Whether this build has taken over the relations of a group from an earlier one (KEPT in publishing/kept.py; a model's
   group is its meta `kept`): then a model of the group computes the touched rows alone (meta `touched`: its column, and the
   relation that holds the touched values of it), and they replace what was there. Other engines compute everything. #}
{% macro keeps(group) %}
  {{ return(adapter.dispatch('keeps')(group)) }}
{% endmacro %}

{% macro default__keeps(group) %}
  {{ return(false) }}
{% endmacro %}

{% macro duckdb__keeps(group) %}
  {{ return(execute and adapter.get_relation(target.database, 'staged', 'kept_' ~ group) is not none) }}
{% endmacro %}

{# Condition on the column of a model, to be read of a relation: touched where the build keeps the rest, else true. Where
   anything is kept, the facts are. #}
{% macro is_touched(column, model_name) -%}
  {%- if keeps('facts') -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'model' and node.name == model_name and node.config.meta.touched and keeps(node.config.meta.kept) -%}
      {{ column }} in (select {{ node.config.meta.touched[0] }} from {{ node.config.meta.touched[1] }})
    {%- else -%}
      true
    {%- endfor -%}
  {%- else -%}
    true
  {%- endif -%}
{%- endmacro %}

{# Rows of a model that were not in it in the build that was taken over, and those that are no longer in it. #}
{% macro differing(model_name) -%}
(
        (select * from {{ ref(model_name) }} except all select * from taken.{{ model_name }})
        union all
        (select * from taken.{{ model_name }} except all select * from {{ ref(model_name) }})
    )
{%- endmacro %}
