-- Tickets of a period with a counted lead dispatch over the county, counted again from staging.
with names as (
    select unit_name as name, unit_code, cast(null as date) as valid_from, cast(null as date) as valid_to
    from {{ ref('units') }}
    union all
    select alias, unit_code, valid_from, valid_to from {{ ref('unit_aliases') }}
),

dispatches as (
    select
        dispatches.ticket_no,
        cast(dispatches.dispatched_at as date) as day,
        coalesce(names.unit_code, dispatches.unit_name) as unit
    from {{ ref('stg_hotline_dispatches') }} as dispatches
    left join names
        on dispatches.unit_name = names.name
        and (names.valid_from is null or cast(dispatches.dispatched_at as date) >= names.valid_from)
        and (names.valid_to is null or cast(dispatches.dispatched_at as date) <= names.valid_to)
    where
        dispatches.row_state = 'current'
        and dispatches.role = '主办'
        and (dispatches.return_upheld is null or not dispatches.return_upheld)
        and dispatches.ticket_no not in (
            select ticket_no from {{ ref('stg_hotline_tickets') }} where row_state = 'current' and ticket_status = '作废'
        )
),

kept as (
    select dispatches.*
    from dispatches
    where not exists (
        select 1
        from {{ ref('stg_hotline_exclusions') }} as exclusions
        where
            exclusions.row_state = 'current'
            and exclusions.decision = '同意'
            and exclusions.ticket_no = dispatches.ticket_no
            and case when exclusions.unit_code = 'UNMAPPED' then exclusions.unit_name else exclusions.unit_code end
            = dispatches.unit
    )
),

counted as (
    select periods.period_code, count(distinct kept.ticket_no) as tickets
    from kept
    inner join {{ ref('scored_periods') }} as periods
        on kept.day between periods.first_day and periods.last_day and periods.is_complete
    group by periods.period_code
)

select counted.period_code, counted.tickets, totals.numerator
from counted
full outer join (
    select totals.*
    from {{ ref('county_totals') }} as totals
    inner join {{ ref('scored_periods') }} as periods
        on totals.period_code = periods.period_code and periods.is_complete
    where totals.figure = 'dispatched'
) as totals
    on counted.period_code = totals.period_code
where counted.tickets is null or totals.numerator is null or counted.tickets <> totals.numerator
