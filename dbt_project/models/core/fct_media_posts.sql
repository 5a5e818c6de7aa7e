-- Grain: one item published by an account of the new media (新媒体发布), by 发布编号.
-- The unit is that of the account on the last day of the month of publication.
with posts as (
    select *, {{ month_code('published_at') }} as published_month
    from {{ ref('stg_cms_media_posts') }}
    where row_state = 'current'
),

accounts as (
    select platform, account_name, unit_name
    from {{ ref('stg_cms_media_accounts') }}
    where row_state = 'current'
)

select
    posts.media_post_no,
    posts.platform,
    posts.account_name,
    {{ unit_code('unit') }} as unit_code,
    posts.published_at,
    posts.published_month,
    coalesce(posts.serious_error_count, 0) as serious_error_count,
    accounts.unit_name is not null as is_account_known,
    posts.updated_at
from posts
left join accounts on posts.platform = accounts.platform and posts.account_name = accounts.account_name
left join {{ ref('dim_month') }} as months on posts.published_month = months.month_code
{{ join_unit('unit', 'accounts.unit_name', 'months.last_day') }}
