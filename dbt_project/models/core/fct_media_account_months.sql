-- Grain: one account of the new media (新媒体账号) × month delivered by the CMS.
-- is_silent: on some day of the month more than 14 calendar days had passed since the last post; without one, since
-- the account was opened; days before the first delivered month of cms_media_posts never count.
with delivered as (
    select months.month_code, months.first_day, months.last_day
    from {{ ref('dim_month') }} as months
    where
        months.month_code in (
            select month from {{ source('staged', 'delivered_months') }}
            where dataset in ('cms_media_accounts', 'cms_media_posts')
        )
),

first_delivered as (
    select min(months.first_day) as first_day
    from {{ source('staged', 'delivered_months') }} as delivered
    inner join {{ ref('dim_month') }} as months on delivered.month = months.month_code
    where delivered.dataset = 'cms_media_posts'
),

accounts as (
    select platform, account_name, unit_name, opened_on, cancelled_on
    from {{ ref('stg_cms_media_accounts') }}
    where row_state = 'current'
),

post_days as (
    select distinct platform, account_name, cast(published_at as date) as day
    from {{ ref('stg_cms_media_posts') }}
    where row_state = 'current'
),

first_posts as (
    select platform, account_name, min(day) as day
    from post_days
    group by platform, account_name
),

-- The days from which an account's silence is counted: its posts, and its opening until the first of them.
starts as (
    select platform, account_name, day from post_days
    union all
    select accounts.platform, accounts.account_name, accounts.opened_on as day
    from accounts
    left join first_posts
        on accounts.platform = first_posts.platform and accounts.account_name = first_posts.account_name
    where first_posts.day is null or accounts.opened_on < first_posts.day
),

silences as (
    select
        starts.platform,
        starts.account_name,
        greatest(starts.day, first_delivered.first_day) + 15 as first_silent_day,
        coalesce(
            lead(starts.day) over (partition by starts.platform, starts.account_name order by starts.day) - 1,
            cast('9999-12-31' as date)
        ) as last_silent_day
    from starts
    cross join first_delivered
),

silent_months as (
    select distinct silences.platform, silences.account_name, delivered.month_code
    from silences
    inner join delivered
        on silences.first_silent_day <= delivered.last_day
        and silences.last_silent_day >= delivered.first_day
        and silences.first_silent_day <= silences.last_silent_day
)

select
    accounts.platform,
    accounts.account_name,
    delivered.month_code,
    {{ unit_code('unit') }} as unit_code,
    {{ unmapped_name('unit', 'accounts.unit_name') }} as unmapped_name,
    accounts.opened_on,
    accounts.cancelled_on,
    accounts.opened_on <= delivered.first_day
    and (accounts.cancelled_on is null or accounts.cancelled_on > delivered.last_day) as is_open_whole_month,
    silent_months.month_code is not null as is_silent
from accounts
cross join delivered
left join silent_months
    on accounts.platform = silent_months.platform
    and accounts.account_name = silent_months.account_name
    and delivered.month_code = silent_months.month_code
{{ join_unit('unit', 'accounts.unit_name', 'delivered.last_day') }}
