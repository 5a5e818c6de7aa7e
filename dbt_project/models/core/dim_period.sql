-- Grain: one period that can be ranked: every month, two months, quarter, half-year and year of the calendar.
with lengths as (
    {% for period_type, months in [('month', 1), ('bimonth', 2), ('quarter', 3), ('half_year', 6), ('year', 12)] %}
    select '{{ period_type }}' as period_type, {{ months }} as months
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

numbered as (
    select *, cast(row_number() over (order by month_code) as integer) as month_number
    from {{ ref('dim_month') }}
),

spans as (
    select
        lengths.period_type,
        lengths.months,
        first_months.month_code as first_month,
        last_months.month_code as last_month,
        first_months.first_day,
        last_months.last_day,
        last_months.cut_off,
        cast(row_number() over (partition by lengths.period_type order by first_months.month_code) as integer) as place
    from lengths
    cross join numbered as first_months
    inner join numbered as last_months
        on last_months.month_number = first_months.month_number + lengths.months - 1
    -- The calendar starts with a January: periods of a length start every so many months from there.
    where (first_months.month_number - 1) % lengths.months = 0
),

coded as (
    select *, case when months = 1 then first_month else first_month || '--' || last_month end as period_code
    from spans
)

select
    coded.period_code,
    coded.period_type,
    coded.months,
    coded.first_month,
    coded.last_month,
    coded.first_day,
    coded.last_day,
    coded.cut_off,
    earlier.period_code as previous_period_code,
    rule_sets.rule_set
from coded
left join coded as earlier
    on coded.period_type = earlier.period_type and coded.place = earlier.place + 1
left join {{ ref('rule_sets') }} as rule_sets
    on coded.last_day >= coalesce(rule_sets.effective_from, cast('0001-01-01' as date))
    and coded.last_day <= coalesce(rule_sets.effective_to, cast('9999-12-31' as date))
