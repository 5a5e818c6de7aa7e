{{ config(meta={'touched': ['period_code', 'scoring.touched_periods']}) }}
-- Grain: computed period × ranked unit × area, where the rule set lists by evidence over months (decision 0010); else
-- no row. log_odds: natural log of how many times likelier the unit's counts of the look-back window are for a lagging
-- unit than for one at its group's rate. Lagging: in each metric, with the chance lagging_share, the floor in place of
-- the group's rate. An area that was not delivered has no evidence (0).
-- depends_on: {{ ref('touched_periods') }}
with windows as (
    select
        periods.period_code,
        periods.last_month,
        {{ month_number('periods.last_month') }} as last_number,
        greatest(rules.lagging_months, periods.months) as months,
        periods.rule_set
    from {{ ref('scored_periods') }} as periods
    inner join {{ ref('rule_sets') }} as rules on periods.rule_set = rules.rule_set
    where rules.lagging_months is not null and {{ is_touched('periods.period_code', 'lagging_evidence') }}
),

spine as (
    select
        windows.period_code,
        units.unit_code,
        units.unit_group,
        areas.area,
        areas.is_delivered,
        metrics.metric,
        metrics.better,
        metrics.floor,
        metrics.lagging_share
    from windows
    inner join {{ ref('period_areas') }} as areas on windows.period_code = areas.period_code
    inner join {{ ref('dim_metric') }} as metrics on areas.rule_set = metrics.rule_set and areas.area = metrics.area
    cross join {{ ref('dim_unit') }} as units
    where metrics.lagging_share is not null and units.ranked
),

summed as (
    select
        windows.period_code,
        months.unit_code,
        months.area,
        months.metric,
        cast(sum(months.numerator) as double) as numerator,
        cast(sum(months.denominator) as double) as denominator
    from windows
    inner join {{ ref('unit_month_metrics') }} as months
        on {{ month_number('months.month_code') }} > windows.last_number - windows.months
        and months.month_code <= windows.last_month
        and months.known_month <= windows.last_month
    group by windows.period_code, months.unit_code, months.area, months.metric
),

filled as (
    select
        spine.*,
        case when spine.is_delivered then coalesce(summed.numerator, 0) else 0 end as numerator,
        case when spine.is_delivered then coalesce(summed.denominator, 0) else 0 end as denominator
    from spine
    left join summed
        on spine.period_code = summed.period_code
        and spine.unit_code = summed.unit_code
        and spine.area = summed.area
        and spine.metric = summed.metric
),

totalled as (
    select
        *,
        sum(numerator) over (partition by period_code, unit_group, area, metric) as group_numerator,
        sum(denominator) over (partition by period_code, unit_group, area, metric) as group_denominator
    from filled
),

compared as (
    select
        *,
        case when group_denominator > 0 then group_numerator / group_denominator end as group_rate,
        -- A group that is itself beyond the floor sets the floor: nobody lags behind it by being like it.
        case
            when group_denominator > 0 and better = 'high' then least(floor, group_numerator / group_denominator)
            when group_denominator > 0 then greatest(floor, group_numerator / group_denominator)
        end as lagging_rate
    from totalled
),

-- Each logarithm only where its count is not 0: it is defined there, for the group's rate holds the unit's own rows.
ratios as (
    select
        *,
        case when numerator > 0 then numerator * ln(lagging_rate / group_rate) else 0 end
        + case
            when denominator > numerator
                then (denominator - numerator) * ln((1 - lagging_rate) / (1 - group_rate))
            else 0
        end as log_ratio
    from compared
)

select
    period_code,
    unit_code,
    area,
    -- Beyond 30 the 1 - share beside it is lost in rounding anyway, and exp would overflow.
    -- To 9 decimals, as scores before they are compared: binary noise must not decide a list.
    {{ rounded(ordered_sum(
        'case when log_ratio > 30 then ln(lagging_share) + log_ratio '
        ~ 'else ln(1 - lagging_share + lagging_share * exp(log_ratio)) end',
        'metric'
    ), 9) }} as log_odds
from ratios
group by period_code, unit_code, area
