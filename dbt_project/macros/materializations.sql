{# Table on the embedded engine: each run builds into a new file, so nothing of that name can be there already, and
   nothing is renamed, backed up or dropped (dbt-duckdb's own does so for every model, a third of a small build).
   A scratch file that is built twice loses the old table first. Where the build has taken over the table from an earlier
   one (macros/kept.sql), the touched rows are replaced in it, and no others: that a model computes the touched ones alone
   makes it fast, not right. #}
{% materialization table, adapter='duckdb' %}
  {%- set target_relation = this.incorporate(type='table') -%}
  {% if config.get('meta', {}).get('touched') and keeps() %}
    {{ replace_touched() }}
  {% else %}
    {% do drop_relation_if_exists(load_cached_relation(this)) %}
    {% call statement('main') -%}
      create table {{ target_relation }} as (
      {{ compiled_code }}
      )
    {%- endcall %}
  {% endif %}
  {% do assert_contract(target_relation) %}
  {% do persist_docs(target_relation, model) %}
  {{ adapter.commit() }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{# The same for a view: a table where the build keeps what was computed before. It is small then (of what is large it holds
   the touched rows alone) and is read several times, and each reading of it as a view would open all that was ever
   delivered, a file of each month. The next build that keeps anything takes the table over, too. #}
{% materialization view, adapter='duckdb' %}
  {%- set kind = 'table' if keeps() else 'view' -%}
  {%- set target_relation = this.incorporate(type=kind) -%}
  {% if config.get('meta', {}).get('touched') and keeps() and load_cached_relation(this) is not none %}
    {{ replace_touched() }}
  {% else %}
    {% do drop_relation_if_exists(load_cached_relation(this)) %}
    {% call statement('main') -%}
      create {{ kind }} {{ target_relation }} as (
      {{ sql }}
      )
    {%- endcall %}
  {% endif %}
  {% do persist_docs(target_relation, model) %}
  {{ adapter.commit() }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{# A contract is held against the table that was made, the order of its columns included: against the query, as dbt
   does it, the engine would have to plan each model twice more. #}
{% macro assert_contract(relation) %}
  {% if config.get('contract').enforced %}
    {% set agreed = format_columns(get_column_schema_from_query(get_empty_schema_sql(model['columns']))) %}
    {% set made = format_columns(get_column_schema_from_query('select * from ' ~ relation)) %}
    {% if made | sort(attribute='name') != agreed | sort(attribute='name') %}
      {% do exceptions.raise_contract_error(agreed, made) %}
    {% elif made != agreed %}
      {% do exceptions.raise_compiler_error('columns in another order than its contract has them: '
          ~ made | join(', ', attribute='name') ~ '; the contract: ' ~ agreed | join(', ', attribute='name')) %}
    {% endif %}
  {% endif %}
{% endmacro %}

{# Puts the rows that the model computes for what is touched in the place of those that were there, which it may read. #}
{% macro replace_touched() %}
  {%- set touched = config.get('meta').get('touched') -%}
  {%- set is_touched = touched[0] ~ ' in (select ' ~ touched[0] ~ ' from ' ~ touched[1] ~ ')' -%}
  {%- set computed = this.identifier ~ '__computed' -%}
  {% call statement('main') -%}
    create temp table {{ computed }} as
    select * from (
    {{ sql }}
    ) as computed
    where {{ is_touched }};
    delete from {{ this }} where {{ is_touched }};
    insert into {{ this }} by name from {{ computed }};
    drop table {{ computed }}
  {%- endcall %}
{% endmacro %}
