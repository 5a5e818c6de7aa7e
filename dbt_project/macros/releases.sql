{# Every revision of a table: what was released before, as it was, and the rows of the releases that this build adds.
   The columns and their types are those of the model's contract. #}
{% macro all_revisions(table, computed) -%}
select
    {% for column in model.columns.values() -%}
    {{ dbt.cast(column.name, column.data_type) }} as {{ column.name }}{{ ',' if not loop.last }}
    {% endfor -%}
from {{ source('previous', table) }}
union all
select
    {% for column in model.columns.values() -%}
    {{ dbt.cast(('new_releases.' if column.name == 'release' else 'computed.') ~ column.name, column.data_type) }} as {{ column.name }}{{ ',' if not loop.last }}
    {% endfor -%}
from {{ ref(computed) }} as computed
inner join {{ ref('new_releases') }} as new_releases on computed.period_code = new_releases.period_code
{%- endmacro %}

{# The newest revision of each released period, of a table of every revision; the rule set is the release's. #}
{% macro newest_revisions(revisions) -%}
select
    {% for column in model.columns.values() -%}
    {{ ('newest.' if column.name == 'rule_set' else 'revisions.') ~ column.name }}{{ ',' if not loop.last }}
    {% endfor -%}
from {{ ref(revisions) }} as revisions
inner join {{ ref('newest_releases') }} as newest on revisions.release = newest.release
{%- endmacro %}
