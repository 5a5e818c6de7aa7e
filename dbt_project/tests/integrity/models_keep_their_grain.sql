-- The grain that each model states on its first line: no key is null or stands twice. One test for all of them, because
-- every test of its own costs the monthly run more than the query does. The keys: `grains` in dbt_project.yml. Of a table
-- that was taken over the touched keys are looked at: no other can have come to stand twice.
{% for model, columns in var('grains') %}
select '{{ model }}' as model, count(*) as keys_at_fault
from (
    select {{ columns | join(', ') }}
    from {{ ref(model) }}
    where {{ is_touched(columns[0], model) }}
    group by {{ columns | join(', ') }}
    having count(*) > 1 {% for column in columns %}or {{ column }} is null {% endfor %}
) as faults
having count(*) > 0
{{ 'union all' if not loop.last }}
{% endfor %}
