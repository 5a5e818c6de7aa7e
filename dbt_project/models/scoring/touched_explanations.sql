-- Grain: one period whose ranks are explained anew, where the build keeps the explanations of an earlier one; else no
-- row. A touched period, and one of which another revision is the newest: the explanations name theirs.
{% if keeps() %}
select period_code from {{ ref('touched_periods') }}
union
{{ changed_rows(ref('newest_releases'), 'taken.newest_releases', 'period_code') }}
{% else %}
-- depends_on: {{ ref('touched_periods') }} {{ ref('newest_releases') }}
select cast(null as string) as period_code
where false
{% endif %}
