-- Grain: one piece of material sent in (材料报送), by 报送编号.
-- slot: which obligation of its 所属期 it meets, counted in order of 报送时间 then 报送编号; returned ones meet none.
with submissions as (
    select
        submissions.*,
        {{ unit_code('unit') }} as unit_code,
        {{ unmapped_name('unit', 'submissions.unit_name') }} as unmapped_name
    from {{ ref('stg_cms_submissions') }} as submissions
    {{ join_unit('unit', 'submissions.unit_name', 'cast(submissions.submitted_at as date)') }}
    where submissions.row_state = 'current'
)

select
    submission_no,
    unit_code,
    unmapped_name,
    program,
    material_type,
    obligation_period,
    submitted_at,
    {{ month_code('submitted_at') }} as submitted_month,
    review_status,
    coalesce(return_count, 0) as return_count,
    case
        when review_status <> '退回'
            then cast(row_number() over (
                partition by unit_code, program, material_type, obligation_period, review_status = '退回'
                order by submitted_at, submission_no
            ) as integer)
    end as slot,
    updated_at
from submissions
