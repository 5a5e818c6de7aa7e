-- Grain: one month that new rows of the platform touch, where the build keeps the facts of an earlier one; else no row.
-- The months that the touched cases and reviews were in before (publishing/kept.py), and those that they are in now.
-- depends_on: {{ ref('fct_cases') }} {{ ref('fct_case_reviews') }}
{% if keeps() %}
select month_code from staged.touched_months
{% for model, months in {
    'fct_cases': ['accepted_month', 'due_month', 'closed_month'],
    'fct_case_reviews': ['reviewed_month', 'rectify_due_month'],
}.items() %}
{% for month in months %}
union
select {{ month }} from {{ ref(model) }}
where {{ month }} is not null and {{ is_touched('case_no' if model == 'fct_cases' else 'review_no', model) }}
{% endfor %}
{% endfor %}
{% else %}
select cast(null as string) as month_code
where false
{% endif %}
