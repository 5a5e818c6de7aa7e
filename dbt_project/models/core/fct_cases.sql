{{ config(meta={'touched': ['case_no', 'staged.touched_cases']}) }}
-- Grain: one case (办件), by 办件编号.
-- due_at: the end of the n-th working day after acceptance; 即办件 the same day, or the next working day when accepted
-- on a day off. METRICS.md, Due cases; docs/decisions/0002-due-days.md.
with cases as (
    select
        *,
        cast(accepted_at as date) as accepted_on,
        cast(closed_at as date) as closed_on,
        case
            when case_type = '即办件' then 0
            else coalesce(promised_days, statutory_days, 0) + coalesce(paused_days, 0)
        end as working_days_allowed
    from {{ ref('stg_platform_cases') }}
    where row_state = 'current'
),

known_until as (
    select max(months.cut_off) as cut_off
    from {{ source('staged', 'delivered_months') }} as delivered
    inner join {{ ref('dim_month') }} as months on delivered.month = months.month_code
    where delivered.dataset = 'platform_cases'
),

dated as (
    select
        cases.*,
        due.date_day as due_on,
        case when cases.accepted_at is not null and due.date_day is null then 'calendar_unknown' end as due_reason,
        closing.workday_number - accepting.workday_number as working_days_taken
    from cases
    left join {{ ref('dim_date') }} as accepting on cases.accepted_on = accepting.date_day
    left join {{ ref('dim_date') }} as closing on cases.closed_on = closing.date_day
    left join {{ ref('dim_date') }} as due
        on due.is_workday
        and due.workday_number = accepting.workday_number
        + greatest(cases.working_days_allowed, {{ one_if('not accepting.is_workday') }})
)

select
    dated.case_no,
    {{ unit_code('unit') }} as unit_code,
    {{ unmapped_name('unit', 'dated.unit_name') }} as unmapped_name,
    dated.item_code,
    dated.case_type,
    dated.channel,
    dated.applicant_type,
    dated.applied_at,
    dated.accepted_at,
    {{ month_code('dated.accepted_at') }} as accepted_month,
    dated.statutory_days,
    dated.promised_days,
    dated.paused_days,
    {{ end_of_day('dated.due_on') }} as due_at,
    {{ month_code('dated.due_on') }} as due_month,
    dated.due_reason,
    dated.closed_at,
    {{ month_code('dated.closed_at') }} as closed_month,
    cast(dated.working_days_taken as bigint) as working_days_taken,
    dated.result,
    coalesce(dated.result, '') not in ('作废', '删除') as is_counted,
    -- Late, or open when its due day had passed by the cut-off of the last delivered month.
    case
        when dated.due_on is null then null
        when dated.closed_at is not null then dated.closed_at > {{ end_of_day('dated.due_on') }}
        else {{ end_of_day('dated.due_on') }} <= known_until.cut_off
    end as is_overdue,
    dated.platform_overdue,
    dated.updated_at
from dated
cross join known_until
{{ join_unit('unit', 'dated.unit_name', 'cast(coalesce(dated.accepted_at, dated.applied_at) as date)') }}
