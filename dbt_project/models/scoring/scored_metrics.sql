{{ config(meta={'touched': ['period_code', 'scoring.touched_periods']}) }}
-- Grain: computed period × ranked unit × metric, null or not. METRICS.md, Scores.
-- The spine is built first and joined to what happened, so that nothing done is a row and not a gap.
-- depends_on: {{ ref('touched_periods') }}
with spine as (
    select
        areas.period_code,
        areas.rule_set,
        areas.is_delivered and absent.unit_code is null as is_delivered,
        units.unit_code,
        units.unit_group,
        metrics.area,
        metrics.metric,
        metrics.kind,
        metrics.weight,
        metrics.target,
        metrics.floor,
        metrics.is_shrunk,
        metrics.empty_reason
    from {{ ref('period_areas') }} as areas
    inner join {{ ref('dim_metric') }} as metrics on areas.rule_set = metrics.rule_set and areas.area = metrics.area
    cross join {{ ref('dim_unit') }} as units
    left join {{ source('staged', 'undelivered_areas') }} as absent
        on areas.period_code = absent.period_code
        and areas.area = absent.area
        and units.unit_code = absent.unit_code
    where units.ranked and {{ is_touched('areas.period_code', 'scored_metrics') }}
),

summed as (
    select
        periods.period_code,
        months.unit_code,
        months.area,
        months.metric,
        sum(months.numerator) as numerator,
        sum(months.denominator) as denominator
    from {{ ref('scored_periods') }} as periods
    inner join {{ ref('unit_month_metrics') }} as months
        on months.month_code between periods.first_month and periods.last_month
        and months.known_month <= periods.last_month
    where {{ is_touched('periods.period_code', 'scored_metrics') }}
    group by periods.period_code, months.unit_code, months.area, months.metric
),

filled as (
    select
        spine.*,
        case when spine.is_delivered then cast(coalesce(summed.numerator, 0) as bigint) end as numerator,
        case
            when spine.is_delivered and spine.kind <> 'count' then cast(coalesce(summed.denominator, 0) as bigint)
        end as denominator
    from spine
    left join summed
        on spine.period_code = summed.period_code
        and spine.unit_code = summed.unit_code
        and spine.area = summed.area
        and spine.metric = summed.metric
),

valued as (
    select
        *,
        case
            when kind = 'count' then cast(numerator as double)
            when denominator > 0 then cast(numerator as double) / denominator
        end as value,
        case
            when not is_delivered then 'not_delivered'
            when kind <> 'count' and denominator = 0 then empty_reason
        end as null_reason
    from filled
),

with_priors as (
    select
        *,
        sum(numerator) over (partition by period_code, unit_group, area, metric) as group_numerator,
        sum(denominator) over (partition by period_code, unit_group, area, metric) as group_denominator
    from valued
),

adjusted as (
    select
        with_priors.*,
        rules.prior_rows,
        rules.z,
        case
            when with_priors.is_shrunk and with_priors.value is not null
                then (
                    with_priors.numerator
                    + rules.prior_rows * cast(with_priors.group_numerator as double) / with_priors.group_denominator
                ) / (with_priors.denominator + rules.prior_rows)
            else with_priors.value
        end as adjusted
    from with_priors
    inner join {{ ref('rule_sets') }} as rules on with_priors.rule_set = rules.rule_set
),

spread as (
    select
        *,
        case
            when kind = 'share' and denominator > 0 then z * sqrt(
                greatest(value * (1 - value), 0) / denominator + z * z / (4.0 * denominator * denominator)
            ) / (1 + z * z / denominator)
        end as ci_half,
        case
            when kind = 'share' and denominator > 0
                then (value + z * z / (2.0 * denominator)) / (1 + z * z / denominator)
        end as ci_centre,
        case
            when is_shrunk then z * sqrt(greatest(adjusted * (1 - adjusted), 0) / (denominator + prior_rows))
        end as adjusted_half
    from adjusted
)

select
    period_code,
    unit_code,
    unit_group,
    area,
    metric,
    numerator,
    denominator,
    value,
    adjusted,
    ci_centre - ci_half as ci_low,
    ci_centre + ci_half as ci_high,
    case when value is not null then {{ points('adjusted', 'spread') }} end as points,
    -- Standard deviation of the points by chance; census metrics have none.
    case
        when value is null or weight is null then null
        when is_shrunk then abs(
            {{ points('least(adjusted + adjusted_half, 1)', 'spread') }}
            - {{ points('greatest(adjusted - adjusted_half, 0)', 'spread') }}
        ) / (2 * z)
        else 0
    end as points_sd,
    weight,
    null_reason,
    rule_set
from spread
