-- Grain: one period that this build computes: the requested ones, and the earlier one that each compares with where
-- all its deliveries are there.
with delivered as (
    select periods.period_code, count(*) as deliveries
    from {{ ref('dim_period') }} as periods
    inner join {{ source('staged', 'delivered_months') }} as delivered
        on delivered.month between periods.first_month and periods.last_month
    group by periods.period_code
),

periods as (
    select
        periods.*,
        coalesce(delivered.deliveries, 0) = periods.months * {{ var('datasets') | length }} as is_complete,
        requested.period_code is not null as is_requested
    from {{ ref('dim_period') }} as periods
    left join delivered on periods.period_code = delivered.period_code
    left join {{ source('staged', 'requested_periods') }} as requested on periods.period_code = requested.period_code
)

select *
from periods
where
    rule_set is not null
    and (
        is_requested
        or (
            is_complete
            and period_code in (select asked.previous_period_code from periods as asked where asked.is_requested)
        )
    )
