{{ config(meta={'touched': ['period_code', 'scoring.touched_periods']}) }}
-- Grain: computed period × ranked unit × area (`overall` included) × component: what the component brings to the score.
-- Components of an area are its scored metrics, of overall the areas. Two more say what the formula does with them:
--   coverage  the weights of what has no value are shared out over the rest: what that changes
--   veto      what the vetoed months take away (areas only; overall has none of its own)
-- The parts of an area add up to its score. docs/decisions/0009-explanations.md.
-- depends_on: {{ ref('touched_periods') }}
with scores as (
    select * from {{ ref('scored_areas') }}
    where {{ is_touched('period_code', 'rank_parts') }}
),

components as (
    select
        metrics.period_code,
        metrics.unit_code,
        metrics.area,
        metrics.metric as component,
        ruled.metric_order as component_order,
        metrics.weight,
        metrics.weight * 100 as full_points,
        coalesce(metrics.points, 0) * 100 as points,
        metrics.null_reason
    from {{ ref('scored_metrics') }} as metrics
    inner join {{ ref('dim_metric') }} as ruled
        on metrics.rule_set = ruled.rule_set and metrics.area = ruled.area and metrics.metric = ruled.metric
    where metrics.weight is not null and {{ is_touched('metrics.period_code', 'rank_parts') }}
    union all
    select
        scores.period_code,
        scores.unit_code,
        'overall' as area,
        scores.area as component,
        areas.area_order as component_order,
        areas.weight,
        areas.weight * 100 as full_points,
        areas.weight * coalesce(scores.score, 0) as points,
        scores.null_reason
    from scores
    inner join {{ ref('dim_area') }} as areas on scores.rule_set = areas.rule_set and scores.area = areas.area
),

sums as (
    select period_code, unit_code, area, {{ ordered_sum('points', 'component') }} as points
    from components
    group by period_code, unit_code, area
),

reweighted as (
    select
        scores.*,
        sums.points / scores.full_weight as before_coverage,
        coalesce(sums.points / nullif(scores.held_weight, 0), 0) as before_veto
    from scores
    inner join sums
        on scores.period_code = sums.period_code and scores.unit_code = sums.unit_code and scores.area = sums.area
)

select
    components.period_code,
    components.unit_code,
    components.area,
    components.component,
    components.component_order,
    components.weight,
    components.full_points / scores.full_weight as full_part,
    case when scores.score is not null then components.points / scores.full_weight end as score_part,
    components.null_reason
from components
inner join scores
    on components.period_code = scores.period_code
    and components.unit_code = scores.unit_code
    and components.area = scores.area
union all
select
    period_code, unit_code, area, 'coverage' as component, 98 as component_order, null as weight, null as full_part,
    case when score is not null then before_veto - before_coverage end as score_part, null as null_reason
from reweighted
union all
select
    period_code, unit_code, area, 'veto' as component, 99 as component_order, null as weight, null as full_part,
    case when score is not null then before_veto * (clean_share - 1) end as score_part, null as null_reason
from reweighted
where area <> 'overall'
