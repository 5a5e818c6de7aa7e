{# One digest over the rows of a group, whatever their order. #}
{% macro digest_rows(column) -%}
  {{ return(adapter.dispatch('digest_rows')(column)) }}
{%- endmacro %}

{% macro default__digest_rows(column) -%}
  md5(string_agg({{ column }}, ';' order by {{ column }}))
{%- endmacro %}

{% macro spark__digest_rows(column) -%}
  md5(string_agg({{ column }}, ';') within group (order by {{ column }}))
{%- endmacro %}
