-- Accepted cases of a month by unit, counted again from staging and joined outwards both ways: the facts (of the
-- touched cases, where the rest was taken over from an earlier build) with staging, and each period's figures with
-- the facts.
with names as (
    select unit_name as name, unit_code, cast(null as date) as valid_from, cast(null as date) as valid_to
    from {{ ref('units') }}
    union all
    select alias, unit_code, valid_from, valid_to from {{ ref('unit_aliases') }}
),

staged as (
    select names.unit_code, {{ month_code('cases.accepted_at') }} as month_code, count(*) as cases
    from {{ ref('stg_platform_cases') }} as cases
    inner join names
        on cases.unit_name = names.name
        and (names.valid_from is null or cast(cases.accepted_at as date) >= names.valid_from)
        and (names.valid_to is null or cast(cases.accepted_at as date) <= names.valid_to)
    where
        cases.row_state = 'current' and cases.accepted_at is not null
        and (cases.result is null or cases.result not in ('作废', '删除'))
    group by names.unit_code, {{ month_code('cases.accepted_at') }}
),

facts as (
    select
        unit_code,
        accepted_month as month_code,
        count(*) as cases,
        sum({{ one_if(is_touched('case_no', 'fct_cases')) }}) as touched
    from {{ ref('fct_cases') }}
    where is_counted and accepted_month is not null
    group by unit_code, accepted_month
),

counted as (
    select periods.period_code, facts.unit_code, sum(facts.cases) as cases
    from facts
    inner join {{ ref('units') }} as units on facts.unit_code = units.unit_code and units.ranked
    inner join {{ ref('scored_periods') }} as periods
        on facts.month_code between periods.first_month and periods.last_month and periods.is_complete
    group by periods.period_code, facts.unit_code
)

select staged.month_code as place, staged.unit_code, staged.cases, facts.touched as cases_found
from staged
full outer join (select * from facts where unit_code <> 'UNMAPPED' and touched > 0) as facts
    on staged.month_code = facts.month_code and staged.unit_code = facts.unit_code
where staged.cases is null or facts.touched is null or staged.cases <> facts.touched
union all
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
