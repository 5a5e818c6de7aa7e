-- Grain: one item of the web site (信息), by 信息编号.
-- is_published: 已发布 with a 发布时间. is_backdated (伪造发稿日期): a published original whose 页面显示日期 lies before
-- the day of 终审 (empty: of 发布) and before the day of 发布.
with posts as (
    select
        *,
        cast(published_at as date) as published_on,
        status = '已发布' and published_at is not null as is_published
    from {{ ref('stg_cms_posts') }}
    where row_state = 'current'
)

select
    posts.post_no,
    {{ unit_code('unit') }} as unit_code,
    {{ unmapped_name('unit', 'posts.unit_name') }} as unmapped_name,
    posts.column_type,
    posts.source_type,
    posts.status,
    posts.published_at,
    posts.published_on,
    {{ month_code('posts.published_on') }} as published_month,
    {{ month_code(week_end('posts.published_on')) }} as week_month,
    {{ week_end('posts.published_on') }} as week_end,
    posts.display_date,
    posts.is_published,
    coalesce(
        posts.is_published
        and posts.reviewer_1 is not null and posts.reviewer_2 is not null and posts.reviewer_3 is not null
        and posts.proofreader_1 is not null and posts.proofreader_2 is not null and posts.proofreader_3 is not null
        and posts.reviewed_1_at <= posts.reviewed_2_at and posts.reviewed_2_at <= posts.reviewed_3_at
        and posts.reviewed_3_at <= posts.published_at
        and posts.proofread_1_at <= posts.proofread_2_at and posts.proofread_2_at <= posts.proofread_3_at
        and posts.proofread_3_at <= posts.published_at,
        false
    ) as is_review_complete,
    coalesce(
        posts.is_published
        and posts.reviewer_1 <> posts.reviewer_2 and posts.reviewer_1 <> posts.reviewer_3
        and posts.reviewer_2 <> posts.reviewer_3
        and posts.proofreader_1 <> posts.proofreader_2 and posts.proofreader_1 <> posts.proofreader_3
        and posts.proofreader_2 <> posts.proofreader_3,
        false
    ) as is_review_independent,
    coalesce(
        posts.is_published and posts.source_type = '原创'
        and posts.display_date < coalesce(cast(posts.reviewed_3_at as date), posts.published_on)
        and posts.display_date < posts.published_on,
        false
    ) as is_backdated,
    coalesce(posts.typo_count, 0) as typo_count,
    coalesce(posts.serious_error_count, 0) as serious_error_count,
    coalesce(posts.serious_error_count, 0) > 0
    and posts.status in ('已发布', '已撤回')
    and posts.published_at is not null as has_serious_error,
    posts.updated_at
from posts
{{ join_unit('unit', 'posts.unit_name', 'coalesce(posts.published_on, cast(posts.updated_at as date))') }}
