{% set grains = [
    ('units', ['unit_code']),
    ('units', ['unit_name']),
    ('unit_metrics_revisions', ['release', 'unit_code', 'area', 'metric']),
    ('unit_scores_revisions', ['release', 'unit_code', 'area']),
    ('unit_rankings_revisions', ['release', 'unit_code', 'area']),
    ('period_totals_revisions', ['release', 'area', 'figure']),
    ('unit_metrics', ['period_code', 'unit_code', 'area', 'metric']),
    ('unit_scores', ['period_code', 'unit_code', 'area']),
    ('unit_rankings', ['period_code', 'unit_code', 'area']),
    ('period_totals', ['period_code', 'area', 'figure']),
    ('releases', ['release']),
    ('releases', ['period_code', 'revision']),
    ('newest_releases', ['period_code']),
    ('release_differences', ['release', 'unit_code', 'area']),
    ('release_exclusions', ['release', 'ticket_no', 'unit_code']),
    ('rank_explanations', ['period_code', 'unit_code', 'area', 'component']),
    ('dim_unit', ['unit_code']),
    ('dim_date', ['date_day']),
    ('dim_month', ['month_code']),
    ('dim_period', ['period_code']),
    ('dim_area', ['rule_set', 'area']),
    ('dim_metric', ['rule_set', 'area', 'metric']),
    ('fct_cases', ['case_no']),
    ('fct_case_reviews', ['review_no']),
    ('fct_tickets', ['ticket_no']),
    ('fct_ticket_exclusions', ['ticket_no', 'unit_key']),
    ('fct_ticket_dispatches', ['ticket_no', 'dispatch_no']),
    ('fct_ticket_answerable', ['ticket_no', 'valid_from_month']),
    ('fct_calls_daily', ['call_date']),
    ('fct_posts', ['post_no']),
    ('fct_media_account_months', ['platform', 'account_name', 'month_code']),
    ('fct_media_posts', ['media_post_no']),
    ('fct_submissions', ['submission_no']),
    ('fct_submission_obligations', ['unit_code', 'program', 'material_type', 'obligation_period', 'slot']),
] %}
-- The grain that each model states on its first line: no key is null or stands twice. One test for all of them, because
-- every test of its own costs the monthly run more than the query does.
{% for model, columns in grains %}
select '{{ model }}' as model, count(*) as keys_at_fault
from (
    select {{ columns | join(', ') }}
    from {{ ref(model) }}
    group by {{ columns | join(', ') }}
    having count(*) > 1 {% for column in columns %}or {{ column }} is null {% endfor %}
) as faults
having count(*) > 0
{{ 'union all' if not loop.last }}
{% endfor %}
