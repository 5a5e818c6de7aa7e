{{ config(meta={'touched': ['review_no', 'staged.touched_reviews']}) }}
-- Grain: one review of a case (评价), by 评价编号.
-- is_first: the earliest of 评价次序 1 of its case, then by 评价编号; the others are reported and in no metric.
with reviews as (
    select *, cast(reviewed_at as date) as reviewed_on
    from {{ ref('stg_platform_reviews') }}
    where row_state = 'current'
),

-- Only cases with several reviews of 评价次序 1 need an order.
not_first as (
    select review_no
    from (
        select review_no, row_number() over (partition by case_no order by reviewed_at, review_no) as place
        from reviews
        where
            review_order = 1
            and case_no in (
                select firsts.case_no
                from reviews as firsts
                where firsts.review_order = 1
                group by firsts.case_no
                having count(*) > 1
            )
    ) as ordered
    where place > 1
)

select
    reviews.review_no,
    reviews.case_no,
    {{ unit_code('unit') }} as unit_code,
    {{ unmapped_name('unit', 'reviews.unit_name') }} as unmapped_name,
    reviews.review_channel,
    reviews.level,
    reviews.review_order,
    reviews.reviewed_at,
    {{ month_code('reviews.reviewed_on') }} as reviewed_month,
    reviews.review_channel = '系统默认' as is_default,
    reviews.review_order = 1 and not_first.review_no is null as is_first,
    reviews.level in ('非常满意', '满意', '基本满意') as is_good,
    reviews.verdict,
    -- Left by a person and not struck out by the check: what satisfaction is judged by.
    reviews.review_channel <> '系统默认' and coalesce(reviews.verdict, '') not in ('误评', '恶意') as is_valid,
    {{ end_of_day('due.date_day') }} as rectify_due_at,
    {{ month_code('due.date_day') }} as rectify_due_month,
    reviews.rectified_at,
    cases.case_no is not null as is_case_known,
    -- Reviews of void cases are out; reviews without a known case count.
    coalesce(cases.is_counted, true) as is_counted
from reviews
left join not_first on reviews.review_no = not_first.review_no
left join {{ ref('fct_cases') }} as cases on reviews.case_no = cases.case_no
left join {{ ref('dim_date') }} as reviewing on reviews.reviewed_on = reviewing.date_day
left join {{ ref('dim_date') }} as due
    on due.is_workday and due.workday_number = reviewing.workday_number + 15
{{ join_unit('unit', 'reviews.unit_name', 'reviews.reviewed_on') }}
