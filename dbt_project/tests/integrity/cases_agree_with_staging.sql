-- Accepted cases of a period by unit, counted again from staging and joined outwards both ways.
with names as (
    select unit_name as name, unit_code, cast(null as date) as valid_from, cast(null as date) as valid_to
    from {{ ref('units') }}
    union all
    select alias, unit_code, valid_from, valid_to from {{ ref('unit_aliases') }}
),

counted as (
    select periods.period_code, names.unit_code, count(*) as cases
    from {{ ref('stg_platform_cases') }} as cases
    inner join names
        on cases.unit_name = names.name
        and (names.valid_from is null or cast(cases.accepted_at as date) >= names.valid_from)
        and (names.valid_to is null or cast(cases.accepted_at as date) <= names.valid_to)
    inner join {{ ref('units') }} as units on names.unit_code = units.unit_code and units.ranked
    inner join {{ ref('scored_periods') }} as periods
        on cast(cases.accepted_at as date) >= periods.first_day and cast(cases.accepted_at as date) <= periods.last_day
        and periods.is_complete
    where cases.row_state = 'current' and (cases.result is null or cases.result not in ('作废', '删除'))
    group by periods.period_code, names.unit_code
)

select counted.period_code, counted.unit_code, counted.cases, metrics.numerator
from counted
full outer join (
    select metrics.period_code, metrics.unit_code, metrics.numerator
    from {{ ref('scored_metrics') }} as metrics
    inner join {{ ref('scored_periods') }} as periods
        on metrics.period_code = periods.period_code and periods.is_complete
    where metrics.metric = 'cases_accepted' and metrics.numerator > 0
) as metrics
    on counted.period_code = metrics.period_code and counted.unit_code = metrics.unit_code
where counted.cases is null or metrics.numerator is null or counted.cases <> metrics.numerator
