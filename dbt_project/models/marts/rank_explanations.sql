{{ config(meta={'touched': ['period_code', 'scoring.touched_explanations']}) }}
-- Grain: released period × ranked unit × area (`overall` included) × component, of the period's newest revision.
-- Over the components of a unit and area, score_part adds up to its score, gap_part to the gap to the place above,
-- change_part to the change since the period before (all unrounded). docs/decisions/0009-explanations.md.
-- depends_on: {{ ref('touched_explanations') }}
{% set rows_needed -%}
    abs(
        ruled.floor - metrics.adjusted + (ruled.target - ruled.floor) / metrics.weight * (
            metrics.points
            + (compared.above_score - compared.score) * compared.held_weight / (100 * compared.clean_share)
        )
    ) * (metrics.denominator + case when ruled.is_shrunk then rules.prior_rows else 0 end)
{%- endset %}
with units as (
    select
        ranks.period_code,
        ranks.unit_group,
        ranks.unit_code,
        ranks.area,
        ranks.rank,
        scores.score,
        scores.held_weight,
        scores.clean_share,
        periods.is_complete,
        periods.previous_period_code,
        ranks.rule_set
    from {{ ref('ranked_units') }} as ranks
    inner join {{ ref('scored_areas') }} as scores
        on ranks.period_code = scores.period_code and ranks.unit_code = scores.unit_code and ranks.area = scores.area
    inner join {{ ref('scored_periods') }} as periods on ranks.period_code = periods.period_code
    -- The period before a touched one is there for what it is compared with.
    where {{ is_touched_or_before('ranks.period_code', 'rank_explanations') }}
),

-- The place above: the next better place of the group; of several units that share it, the one with the least to it.
above as (
    select
        mine.period_code,
        mine.unit_code,
        mine.area,
        other.unit_code as above_unit_code,
        other.score as above_score,
        row_number() over (
            partition by mine.period_code, mine.area, mine.unit_code
            order by other.rank desc, other.score asc, other.unit_code asc
        ) as place
    from units as mine
    inner join units as other
        on mine.period_code = other.period_code
        and mine.area = other.area
        and mine.unit_group = other.unit_group
        and mine.rank > other.rank
),

-- The same earlier period that rank_change compares with.
compared as (
    select
        units.*,
        newest.release,
        above.above_unit_code,
        above.above_score,
        case when units.score is not null then earlier.score end as previous_score,
        case
            when units.score is null then 'no_score'
            when above.above_unit_code is null then 'first_place'
        end as gap_reason,
        case
            when units.score is null then 'no_score'
            when earlier.unit_code is null then 'no_comparable_period'
            when earlier.score is null then 'no_score_before'
        end as change_reason
    from units
    inner join {{ ref('newest_releases') }} as newest on units.period_code = newest.period_code
    left join above
        on units.period_code = above.period_code
        and units.unit_code = above.unit_code
        and units.area = above.area
        and above.place = 1
    left join units as earlier
        on units.previous_period_code = earlier.period_code
        and earlier.is_complete
        and units.unit_code = earlier.unit_code
        and units.area = earlier.area
        and units.rule_set = earlier.rule_set
),

-- Rows of a metric that would have to be otherwise for the unit to reach the place above, all else unchanged: the value
-- that brings the missing points, and how far one row moves the value. Null where this metric alone cannot do it.
reach as (
    select
        compared.period_code,
        compared.unit_code,
        compared.area,
        metrics.metric as component,
        case
            when ruled.better = 'high' then metrics.denominator - metrics.numerator else metrics.numerator
        end as rows_left,
        ceil({{ rounded(rows_needed, 6) }}) as rows_needed
    from compared
    inner join {{ ref('scored_metrics') }} as metrics
        on compared.period_code = metrics.period_code
        and compared.unit_code = metrics.unit_code
        and compared.area = metrics.area
    inner join {{ ref('dim_metric') }} as ruled
        on metrics.rule_set = ruled.rule_set and metrics.area = ruled.area and metrics.metric = ruled.metric
    inner join {{ ref('rule_sets') }} as rules on metrics.rule_set = rules.rule_set
    where
        compared.gap_reason is null
        and compared.clean_share > 0
        and metrics.denominator > 0
        and metrics.points + (compared.above_score - compared.score) * compared.held_weight
        / (100 * compared.clean_share) <= metrics.weight + 0.000000001
)

select
    compared.period_code,
    compared.unit_group,
    compared.unit_code,
    compared.area,
    parts.component,
    cast(parts.component_order as integer) as component_order,
    cast(parts.weight as double) as weight,
    cast(parts.full_part as double) as full_part,
    cast(parts.score_part as double) as score_part,
    cast(
        case when compared.gap_reason is null then above_parts.score_part - parts.score_part end as double
    ) as gap_part,
    cast(
        case when compared.change_reason is null then parts.score_part - earlier_parts.score_part end as double
    ) as change_part,
    cast(case when reach.rows_needed <= reach.rows_left then reach.rows_needed end as bigint) as rows_to_place_above,
    parts.null_reason,
    cast(compared.score as double) as score,
    compared.above_unit_code,
    cast(compared.above_score - compared.score as double) as gap,
    compared.gap_reason,
    case when compared.change_reason is null then compared.previous_period_code end as previous_period_code,
    cast(compared.score - compared.previous_score as double) as change,
    compared.change_reason,
    compared.rule_set,
    compared.release
from compared
inner join {{ ref('rank_parts') }} as parts
    on compared.period_code = parts.period_code
    and compared.unit_code = parts.unit_code
    and compared.area = parts.area
left join {{ ref('rank_parts') }} as above_parts
    on compared.period_code = above_parts.period_code
    and compared.above_unit_code = above_parts.unit_code
    and compared.area = above_parts.area
    and parts.component = above_parts.component
left join {{ ref('rank_parts') }} as earlier_parts
    on compared.previous_period_code = earlier_parts.period_code
    and compared.unit_code = earlier_parts.unit_code
    and compared.area = earlier_parts.area
    and parts.component = earlier_parts.component
left join reach
    on compared.period_code = reach.period_code
    and compared.unit_code = reach.unit_code
    and compared.area = reach.area
    and parts.component = reach.component
