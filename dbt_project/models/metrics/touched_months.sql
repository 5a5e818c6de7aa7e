-- Grain: one month that new rows of the platform touch, where the build keeps the facts of an earlier one; else no row.
-- The months that the touched cases and reviews were in before (publishing/kept.py), and those that they are in now:
-- every column of theirs that is a month.
-- depends_on: {{ ref('fct_cases') }} {{ ref('fct_case_reviews') }}
{% if keeps() %}
select month_code from staged.touched_months
{% for model, key in {'fct_cases': 'case_no', 'fct_case_reviews': 'review_no'}.items() %}
{% for column in adapter.get_columns_in_relation(ref(model)) if column.name.endswith('_month') %}
union
select {{ column.name }} from {{ ref(model) }}
where {{ column.name }} is not null and {{ is_touched(key, model) }}
{% endfor %}
{% endfor %}
{% else %}
select cast(null as string) as month_code
where false
{% endif %}
