-- Grain: computed period × area of its rule set; is_delivered: every dataset of the area for every month.
with delivered as (
    select periods.period_code, areas.area, count(*) as deliveries
    from {{ ref('scored_periods') }} as periods
    inner join {{ ref('dim_area') }} as areas on periods.rule_set = areas.rule_set
    inner join {{ source('staged', 'delivered_months') }} as delivered
        on delivered.month between periods.first_month and periods.last_month
        and ';' || areas.datasets || ';' like '%;' || delivered.dataset || ';%'
    group by periods.period_code, areas.area
)

select
    periods.period_code,
    periods.rule_set,
    areas.area,
    areas.weight,
    areas.volume_metric,
    areas.minimum_volume,
    periods.months,
    coalesce(delivered.deliveries, 0)
    = periods.months * (length(areas.datasets) - length(replace(areas.datasets, ';', '')) + 1) as is_delivered
from {{ ref('scored_periods') }} as periods
inner join {{ ref('dim_area') }} as areas on periods.rule_set = areas.rule_set
left join delivered on periods.period_code = delivered.period_code and areas.area = delivered.area
