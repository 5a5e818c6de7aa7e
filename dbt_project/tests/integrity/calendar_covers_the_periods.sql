-- A due day in a year that the calendar does not know stays empty; it stops the run only where it could fall in a
-- period: a case accepted by the period's end, without a due day, when the period reaches past the calendar.
select periods.period_code, count(*) as cases
from {{ ref('scored_periods') }} as periods
inner join {{ ref('dim_date') }} as dates on periods.last_day = dates.date_day and dates.is_workday is null
inner join {{ ref('fct_cases') }} as cases
    on cases.due_reason = 'calendar_unknown' and cast(cases.accepted_at as date) <= periods.last_day
where cases.is_counted
group by periods.period_code
