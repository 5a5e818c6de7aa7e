-- Grain: one day, from the first year that the calendar knows to five years after the last one.
-- is_workday is null in years that the State Council has not decided yet.
with known as (
    select
        min(extract(year from date_day)) as first_year,
        max(extract(year from date_day)) as last_year
    from {{ ref('holidays') }}
),

days as (
    {{ days_between('2004-01-01', '2032-01-01') }}
),

marked as (
    select
        days.date_day,
        case
            when extract(year from days.date_day) between known.first_year and known.last_year
                then coalesce(
                    county.is_workday, state.is_workday,
                    days.date_day - 5 < cast(date_trunc('week', days.date_day) as date)
                )
        end as is_workday
    from days
    cross join known
    left join {{ ref('holidays') }} as state on days.date_day = state.date_day
    left join {{ ref('calendar_overrides') }} as county on days.date_day = county.date_day
)

select
    date_day,
    is_workday,
    case
        when is_workday is not null
            then cast(sum({{ one_if('is_workday') }}) over (order by date_day rows unbounded preceding) as integer)
    end as workday_number,
    {{ iso_week('date_day') }} as iso_week,
    {{ week_end('date_day') }} as week_end,
    {{ month_code('date_day') }} as month_code
from marked
