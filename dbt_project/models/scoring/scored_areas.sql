{{ config(meta={'touched': ['period_code', 'scoring.touched_periods']}) }}
-- Grain: computed period × ranked unit × area, `overall` included. METRICS.md, Scores and Uncertainty.
-- depends_on: {{ ref('touched_periods') }}
with metric_sums as (
    select
        period_code,
        rule_set,
        unit_code,
        unit_group,
        area,
        {{ ordered_sum('weight', 'metric') }} as area_weight,
        coalesce({{ ordered_sum('case when points is not null then weight end', 'metric') }}, 0) as held_weight,
        {{ ordered_sum('points', 'metric') }} as points,
        sqrt({{ ordered_sum('points_sd * points_sd', 'metric') }}) as points_sd
    from {{ ref('scored_metrics') }}
    where {{ is_touched('period_code', 'scored_areas') }}
    group by period_code, rule_set, unit_code, unit_group, area
),

volumes as (
    select metrics.period_code, metrics.unit_code, metrics.area, metrics.numerator as volume
    from {{ ref('scored_metrics') }} as metrics
    inner join {{ ref('period_areas') }} as areas
        on metrics.period_code = areas.period_code
        and metrics.area = areas.area
        and metrics.metric = areas.volume_metric
),

vetoes as (
    select
        unit_code,
        month_code,
        area,
        max(share) as share,
        max(case when reason = 'serious_error' then reason end) as serious_error,
        max(case when reason = 'backdated' then reason end) as backdated
    from {{ ref('unit_month_vetoes') }}
    group by unit_code, month_code, area
),

vetoed_months as (
    select
        periods.period_code,
        vetoes.unit_code,
        vetoes.area,
        {{ ordered_sum('vetoes.share', 'vetoes.month_code') }} as vetoed_months,
        max(vetoes.share) = 1 as has_veto,
        max(vetoes.serious_error) as serious_error,
        max(vetoes.backdated) as backdated
    from {{ ref('scored_periods') }} as periods
    inner join vetoes on vetoes.month_code between periods.first_month and periods.last_month
    group by periods.period_code, vetoes.unit_code, vetoes.area
),

delivered as (
    select
        sums.*,
        areas.weight as weight_in_overall,
        areas.months,
        areas.volume_metric,
        areas.minimum_volume,
        areas.is_delivered and absent.unit_code is null as is_delivered,
        absent.unit_code is not null as is_absent
    from metric_sums as sums
    inner join {{ ref('period_areas') }} as areas on sums.period_code = areas.period_code and sums.area = areas.area
    left join {{ source('staged', 'undelivered_areas') }} as absent
        on sums.period_code = absent.period_code
        and sums.area = absent.area
        and sums.unit_code = absent.unit_code
),

judged as (
    select
        sums.*,
        rules.minimum_coverage,
        case when sums.is_delivered then sums.held_weight / sums.area_weight else 0 end as coverage,
        cast(sums.months - coalesce(vetoed.vetoed_months, 0) as double) / sums.months as clean_share,
        case
            when not sums.is_delivered then null
            when vetoed.serious_error is not null and vetoed.backdated is not null
                then vetoed.serious_error || ';' || vetoed.backdated
            else coalesce(vetoed.serious_error, vetoed.backdated)
        end as veto_reason,
        sums.is_delivered and coalesce(vetoed.has_veto, false) as has_veto,
        case
            when not sums.is_delivered then 'not_delivered'
            when sums.volume_metric is not null and volumes.volume < sums.minimum_volume then 'insufficient_volume'
            when sums.held_weight < rules.minimum_coverage * sums.area_weight then 'insufficient_coverage'
        end as empty_reason
    from delivered as sums
    inner join {{ ref('rule_sets') }} as rules on sums.rule_set = rules.rule_set
    left join volumes
        on sums.period_code = volumes.period_code
        and sums.unit_code = volumes.unit_code
        and sums.area = volumes.area
    left join vetoed_months as vetoed
        on sums.period_code = vetoed.period_code
        and sums.unit_code = vetoed.unit_code
        and sums.area = vetoed.area
),

-- A month with a veto counts nothing; with no month left the area is 0 even where it would be null.
scored as (
    select
        *,
        case
            when not is_delivered then null
            when clean_share = 0 then 0
            when empty_reason is null then 100 * points / held_weight * clean_share
        end as score,
        case
            when not is_delivered then null
            when clean_share = 0 then 0
            when empty_reason is null then 100 * points_sd / held_weight * clean_share
        end as score_sd
    from judged
),

overall as (
    select
        period_code,
        rule_set,
        unit_code,
        unit_group,
        {{ ordered_sum('weight_in_overall', 'area') }} as all_weight,
        coalesce({{ ordered_sum('case when score is not null then weight_in_overall end', 'area') }}, 0) as held_weight,
        {{ ordered_sum('weight_in_overall * score', 'area') }} as weighted,
        sqrt({{ ordered_sum('weight_in_overall * score_sd * weight_in_overall * score_sd', 'area') }}) as weighted_sd,
        min(minimum_coverage) as minimum_coverage,
        min({{ one_if('is_absent') }}) = 1 as is_absent,
        max({{ one_if('has_veto') }}) = 1 as has_veto
    from scored
    group by period_code, rule_set, unit_code, unit_group
)

select
    period_code,
    unit_code,
    unit_group,
    area,
    score,
    score_sd,
    coverage,
    veto_reason,
    has_veto,
    case when score is null then empty_reason end as null_reason,
    -- What the score is made of, for rank_parts.sql.
    area_weight as full_weight,
    held_weight,
    clean_share,
    weight_in_overall,
    rule_set
from scored
union all
select
    period_code,
    unit_code,
    unit_group,
    'overall' as area,
    case when held_weight >= minimum_coverage * all_weight then weighted / held_weight end as score,
    case when held_weight >= minimum_coverage * all_weight then weighted_sd / held_weight end as score_sd,
    held_weight / all_weight as coverage,
    cast(null as string) as veto_reason,
    has_veto,
    case
        when is_absent then 'not_delivered'
        when held_weight < minimum_coverage * all_weight then 'insufficient_coverage'
    end as null_reason,
    all_weight as full_weight,
    held_weight,
    cast(1 as double) as clean_share,
    cast(null as double) as weight_in_overall,
    rule_set
from overall
