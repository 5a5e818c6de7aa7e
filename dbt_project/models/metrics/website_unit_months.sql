-- Grain: unit × month × cut-off month from which the figures hold × metric of the area website.
with units as (
    select units.unit_code, months.month_code, months.first_day, months.last_day, quotas.monthly_posts
    from {{ ref('dim_unit') }} as units
    cross join {{ ref('delivered_span') }} as months
    left join {{ ref('quotas') }} as quotas
        on units.unit_group = quotas.unit_group
        and months.last_day >= coalesce(quotas.effective_from, cast('0001-01-01' as date))
        and months.last_day <= coalesce(quotas.effective_to, cast('9999-12-31' as date))
    where units.ranked
),

posts as (
    select posts.*, months.last_day
    from {{ ref('fct_posts') }} as posts
    inner join {{ ref('dim_month') }} as months on posts.published_month = months.month_code
    where posts.is_published
),

published as (
    select
        unit_code,
        published_month as month_code,
        count(*) as posts,
        sum({{ one_if('published_on > last_day - 5') }}) as month_end_posts,
        sum({{ one_if('is_review_complete') }}) as complete_posts,
        sum({{ one_if('is_review_independent') }}) as independent_posts,
        sum({{ one_if('typo_count = 0') }}) as error_free_posts
    from posts
    group by unit_code, published_month
),

weeks as (
    select month_code, count(*) as weeks
    from {{ ref('dim_date') }}
    where date_day = week_end
    group by month_code
),

updated as (
    select unit_code, week_month as month_code, count(distinct week_end) as weeks
    from {{ ref('fct_posts') }}
    where is_published
    group by unit_code, week_month
),

owed as (
    select
        units.unit_code,
        units.month_code,
        units.month_code as known_month,
        units.monthly_posts as quota,
        least(coalesce(published.posts, 0), units.monthly_posts) as quota_met,
        weeks.weeks,
        coalesce(updated.weeks, 0) as weeks_updated
    from units
    inner join weeks on units.month_code = weeks.month_code
    left join published on units.unit_code = published.unit_code and units.month_code = published.month_code
    left join updated on units.unit_code = updated.unit_code and units.month_code = updated.month_code
),

done as (
    select *, month_code as known_month from published
)

{{ metric_rows('owed', 'website', {
    'post_quota_rate': ['quota_met', 'quota'],
    'weekly_update_rate': ['weeks_updated', 'weeks'],
}) }}
union all
{{ metric_rows('done', 'website', {
    'month_end_share': ['month_end_posts', 'posts'],
    'review_complete_rate': ['complete_posts', 'posts'],
    'review_independent_rate': ['independent_posts', 'posts'],
    'error_free_rate': ['error_free_posts', 'posts'],
}) }}
