-- Grain: one piece that a ranked unit owes: unit × program × material × 所属期 × slot. Generated, so that what is
-- missing counts. outcome is by the cut-off of the month that the piece was due in.
with months as (
    select * from {{ ref('delivered_span') }}
),

-- Weeks belong to the month of their Sunday.
due_days as (
    select distinct
        'week' as cadence,
        dates.iso_week as obligation_period,
        dates.week_end as due_on,
        months.month_code,
        months.cut_off
    from {{ ref('dim_date') }} as dates
    inner join months on {{ month_code('dates.week_end') }} = months.month_code
    where dates.date_day = dates.week_end
    union all
    select 'month', months.month_code, months.first_day, months.month_code, months.cut_off
    from months
),

slots as (
    select cast(row_number() over (order by month_code) as integer) as slot
    from {{ ref('dim_month') }}
),

owed as (
    select
        units.unit_code,
        requirements.program,
        requirements.area,
        requirements.material_type,
        due_days.obligation_period,
        slots.slot,
        due_days.month_code as due_month,
        due_days.cut_off,
        case
            when requirements.cadence = 'month' then due_days.due_on + (requirements.due_day - 1)
            else due_days.due_on
        end as due_on
    from {{ ref('requirements') }} as requirements
    inner join due_days on requirements.cadence = due_days.cadence
    inner join slots on slots.slot <= requirements.pieces
    cross join {{ ref('dim_unit') }} as units
    where
        units.ranked
        and due_days.due_on >= coalesce(requirements.effective_from, cast('0001-01-01' as date))
        and due_days.due_on <= coalesce(requirements.effective_to, cast('9999-12-31' as date))
)

select
    owed.unit_code,
    owed.area,
    owed.program,
    owed.material_type,
    owed.obligation_period,
    owed.slot,
    {{ end_of_day('owed.due_on') }} as due_at,
    owed.due_month,
    submissions.submission_no,
    submissions.submitted_at,
    case
        when submissions.submitted_at <= {{ end_of_day('owed.due_on') }} then 'on_time'
        when submissions.submitted_at <= owed.cut_off then 'late'
        else 'missing'
    end as outcome
from owed
left join {{ ref('fct_submissions') }} as submissions
    on owed.unit_code = submissions.unit_code
    and owed.program = submissions.program
    and owed.material_type = submissions.material_type
    and owed.obligation_period = submissions.obligation_period
    and owed.slot = submissions.slot
