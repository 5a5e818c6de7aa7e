{# What Spark says otherwise than the embedded engine, for the models and for what dbt does around them. #}

{# Spark's name of a type: its text has no greatest length. #}
{% macro spark_type(type) -%}
  {{ return('string' if type | lower == 'varchar' else type) }}
{%- endmacro %}

{% macro spark__cast(field, type) -%}
  cast({{ field }} as {{ spark_type(type) }})
{%- endmacro %}

{# A seed is written by one statement: dbt-spark's own writes text 'None' where a cell is empty. #}
{% macro spark__create_csv_table(model, agate_table) -%}
  {%- set types = model['config'].get('column_types', {}) -%}
  {%- set sql -%}
    create table {{ this.render() }} (
      {%- for name in agate_table.column_names -%}
        `{{ name }}` {{ spark_type(types[name]) }}{{ ', ' if not loop.last }}
      {%- endfor -%}
    )
  {%- endset -%}
  {%- call statement('_') -%}{{ sql }}{%- endcall -%}
  {{ return(sql) }}
{%- endmacro %}

{% macro spark__load_csv_rows(model, agate_table) -%}
  {%- set types = model['config'].get('column_types', {}) -%}
  {%- if agate_table.rows | length == 0 %}{{ return('') }}{% endif -%}
  {%- set sql -%}
    insert into {{ this.render() }}
    select {% for name in agate_table.column_names -%}
      cast(col{{ loop.index }} as {{ spark_type(types[name]) }}){{ ', ' if not loop.last }}
    {%- endfor %}
    from values
    {%- for row in agate_table.rows %}
      ({%- for cell in row -%}
        {%- if cell is none -%}
          cast(null as string)
        {%- else -%}
          '{{ cell | string | replace("\\", "\\\\") | replace("'", "\\'") }}'
        {%- endif -%}
        {{ ', ' if not loop.last }}
      {%- endfor -%}){{ ', ' if not loop.last }}
    {%- endfor %}
  {%- endset -%}
  {%- do adapter.add_query(sql, abridge_sql_log=True) -%}
  {{ return(sql) }}
{%- endmacro %}

{# Table: written once, in a database that holds nothing of an earlier build; its contract is held against what was
   made, as on the embedded engine (materializations.sql). #}
{% materialization table, adapter='spark' %}
  {%- set target_relation = this.incorporate(type='table') -%}
  {% do drop_relation_if_exists(load_cached_relation(this)) %}
  {% call statement('main') -%}
    create table {{ target_relation }} as
    {{ compiled_code }}
  {%- endcall %}
  {% do assert_contract(target_relation) %}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
