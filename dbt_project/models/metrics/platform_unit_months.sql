{{ config(meta={'touched': ['month_code', 'metrics.touched_months']}) }}
-- Grain: unit × month × cut-off month from which the figures hold × metric of the area platform. Besides the metrics
-- the parts of the county's figures (county_totals.sql): cases by channel, and good reviews by channel.
-- depends_on: {{ ref('touched_months') }}
with cases as (
    select * from {{ ref('fct_cases') }}
    -- Read once and held: only what some figure of a touched month is made of.
    where
        {{ is_touched('accepted_month', 'platform_unit_months') }}
        or {{ is_touched('due_month', 'platform_unit_months') }}
        or {{ is_touched('closed_month', 'platform_unit_months') }}
),

reviews as (
    select * from {{ ref('fct_case_reviews') }}
    where is_counted and is_first
),

accepted as (
    select
        unit_code,
        accepted_month as month_code,
        accepted_month as known_month,
        count(*) as all_accepted,
        sum({{ one_if('not is_counted') }}) as voided,
        sum({{ one_if('is_counted') }}) as accepted,
        sum({{ one_if("is_counted and channel <> '窗口登记'") }}) as online,
        sum(case when is_counted and statutory_days > 0 then statutory_days else 0 end) as statutory_days,
        -- 即办件 promise no days; a case that promises none takes the statutory limit.
        sum(case
            when is_counted and statutory_days > 0 then statutory_days
                - case when case_type = '即办件' then 0 else coalesce(promised_days, statutory_days) end
            else 0
        end) as days_saved
    from cases
    where accepted_month is not null and {{ is_touched('accepted_month', 'platform_unit_months') }}
    group by unit_code, accepted_month
),

due as (
    select
        unit_code,
        due_month as month_code,
        due_month as known_month,
        count(*) as due,
        sum({{ one_if('closed_at <= due_at') }}) as closed_by_due
    from cases
    where is_counted and due_month is not null and {{ is_touched('due_month', 'platform_unit_months') }}
    group by unit_code, due_month
),

closed as (
    select
        unit_code,
        closed_month as month_code,
        closed_month as known_month,
        count(*) as closed,
        sum({{ one_if('accepted_at is not null') }}) as closed_accepted,
        sum(coalesce(working_days_taken, 0)) as working_days
    from cases
    where is_counted and closed_month is not null and {{ is_touched('closed_month', 'platform_unit_months') }}
    group by unit_code, closed_month
),

-- The numerator of active_review_rate: a review that comes after a period's cut-off does not count for it yet.
actively_reviewed as (
    select
        cases.unit_code,
        cases.closed_month as month_code,
        greatest(cases.closed_month, {{ known_month('reviews.reviewed_at') }}) as known_month,
        count(*) as actively_reviewed
    from cases
    inner join reviews on cases.case_no = reviews.case_no
    where
        cases.is_counted and cases.closed_month is not null and not reviews.is_default
        and {{ is_touched('cases.closed_month', 'platform_unit_months') }}
    group by cases.unit_code, cases.closed_month, greatest(cases.closed_month, {{ known_month('reviews.reviewed_at') }})
),

reviewed as (
    select
        unit_code,
        reviewed_month as month_code,
        reviewed_month as known_month,
        count(*) as first_reviews,
        sum({{ one_if('is_default') }}) as default_reviews,
        sum({{ one_if('is_valid') }}) as valid_reviews,
        sum({{ one_if('is_valid and is_good') }}) as good_reviews
    from reviews
    where {{ is_touched('reviewed_month', 'platform_unit_months') }}
    group by unit_code, reviewed_month
),

rectified as (
    select
        unit_code,
        rectify_due_month as month_code,
        rectify_due_month as known_month,
        count(*) as bad_reviews,
        sum({{ one_if('rectified_at <= rectify_due_at') }}) as rectified
    from reviews
    where
        is_valid and not is_good and rectify_due_month is not null
        and {{ is_touched('rectify_due_month', 'platform_unit_months') }}
    group by unit_code, rectify_due_month
),

channels as (
    select
        unit_code,
        accepted_month as month_code,
        'cases_accepted/channel=' || channel as metric,
        count(*) as numerator
    from cases
    where is_counted and accepted_month is not null and {{ is_touched('accepted_month', 'platform_unit_months') }}
    group by unit_code, accepted_month, channel
    union all
    select unit_code, reviewed_month, 'good_reviews/channel=' || review_channel, count(*)
    from {{ ref('fct_case_reviews') }}
    where is_counted and is_valid and is_good and {{ is_touched('reviewed_month', 'platform_unit_months') }}
    group by unit_code, reviewed_month, review_channel
)

{{ metric_rows('due', 'platform', {
    'case_on_time_rate': ['closed_by_due', 'due'],
    'cases_overdue': ['due - closed_by_due', none],
}) }}
union all
{{ metric_rows('accepted', 'platform', {
    'online_rate': ['online', 'accepted'],
    'cases_accepted': ['accepted', none],
    'speedup_rate': ['days_saved', 'statutory_days'],
    'void_share': ['voided', 'all_accepted'],
}) }}
union all
{{ metric_rows('closed', 'platform', {
    'active_review_rate': ['0', 'closed'],
    'cases_closed': ['closed', none],
    'mean_working_days': ['working_days', 'closed_accepted'],
}) }}
union all
{{ metric_rows('actively_reviewed', 'platform', {'active_review_rate': ['actively_reviewed', '0']}) }}
union all
{{ metric_rows('reviewed', 'platform', {
    'good_review_rate': ['good_reviews', 'valid_reviews'],
    'default_review_share': ['default_reviews', 'first_reviews'],
}) }}
union all
{{ metric_rows('rectified', 'platform', {'bad_review_fixed_rate': ['rectified', 'bad_reviews']}) }}
union all
select
    unit_code,
    month_code,
    month_code as known_month,
    'platform' as area,
    metric,
    cast(numerator as bigint) as numerator,
    cast(null as bigint) as denominator
from channels
