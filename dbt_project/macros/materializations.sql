{# Table on the embedded engine: each run builds into a new file, so nothing of that name can be there already, and
   nothing is renamed, backed up or dropped (dbt-duckdb's own does so for every model, a third of a small build).
   A scratch file that is built twice loses the old table first. Where the build has taken over the table from an earlier
   one (macros/kept.sql), the touched rows are replaced in it. #}
{% materialization table, adapter='duckdb' %}
  {%- set target_relation = this.incorporate(type='table') -%}
  {%- set touched = config.get('meta', {}).get('touched') -%}
  {% if touched and keeps() %}
    {% call statement('main') -%}
      delete from {{ this }} where {{ touched[0] }} in (select {{ touched[0] }} from {{ touched[1] }});
      insert into {{ this }} by name {{ compiled_code }}
    {%- endcall %}
  {% else %}
    {% do drop_relation_if_exists(load_cached_relation(this)) %}
    {% call statement('main') -%}
      {{ create_table_as(False, target_relation, compiled_code, 'sql') }}
    {%- endcall %}
  {% endif %}
  {% do persist_docs(target_relation, model) %}
  {{ adapter.commit() }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{# The same for a view. #}
{% materialization view, adapter='duckdb' %}
  {%- set target_relation = this.incorporate(type='view') -%}
  {% do drop_relation_if_exists(load_cached_relation(this)) %}
  {% call statement('main') -%}
    {{ get_create_view_as_sql(target_relation, sql) }}
  {%- endcall %}
  {% do persist_docs(target_relation, model) %}
  {{ adapter.commit() }}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
