-- Grain: revision (from the second on) × unit × area whose score, rank or list changed against the revision before.
-- top_metric is the metric of the area with the largest change of points (overall: of all areas, by what it moves).
-- exclusions counts the approved exclusions behind a change of the hotline or overall (named in release_exclusions).
with steps as (
    select release, period_code, revision, period_code || '-r' || cast(revision - 1 as string) as previous_release
    from {{ ref('releases') }}
    where revision > 1
),

changed as (
    select
        steps.release,
        steps.previous_release,
        steps.period_code,
        new_ranks.unit_code,
        new_ranks.unit_name,
        new_ranks.area,
        new_ranks.rule_set,
        old_ranks.score as old_score,
        new_ranks.score as new_score,
        old_ranks.rank as old_rank,
        new_ranks.rank as new_rank,
        old_ranks.list as old_list,
        new_ranks.list as new_list
    from steps
    inner join {{ ref('unit_rankings_revisions') }} as new_ranks on steps.release = new_ranks.release
    inner join {{ ref('unit_rankings_revisions') }} as old_ranks
        on steps.previous_release = old_ranks.release
        and new_ranks.unit_code = old_ranks.unit_code
        and new_ranks.area = old_ranks.area
    where
        coalesce(new_ranks.score, -1) <> coalesce(old_ranks.score, -1)
        or coalesce(new_ranks.rank, -1) <> coalesce(old_ranks.rank, -1)
        or coalesce(new_ranks.list, '') <> coalesce(old_ranks.list, '')
),

moves as (
    select
        steps.release,
        new_metrics.unit_code,
        new_metrics.area,
        new_metrics.metric,
        coalesce(new_metrics.points, 0) - coalesce(old_metrics.points, 0) as points_change,
        (coalesce(new_metrics.points, 0) - coalesce(old_metrics.points, 0)) * areas.weight as overall_change
    from steps
    inner join {{ ref('unit_metrics_revisions') }} as new_metrics on steps.release = new_metrics.release
    inner join {{ ref('unit_metrics_revisions') }} as old_metrics
        on steps.previous_release = old_metrics.release
        and new_metrics.unit_code = old_metrics.unit_code
        and new_metrics.area = old_metrics.area
        and new_metrics.metric = old_metrics.metric
    inner join {{ ref('dim_area') }} as areas
        on new_metrics.rule_set = areas.rule_set and new_metrics.area = areas.area
    where new_metrics.weight is not null
),

ordered as (
    select
        changed.*,
        case when moves.points_change <> 0 then moves.area end as top_area,
        case when moves.points_change <> 0 then moves.metric end as top_metric,
        case when moves.points_change <> 0 then moves.points_change end as top_points_change,
        row_number() over (
            partition by changed.release, changed.unit_code, changed.area
            order by
                abs(case when changed.area = 'overall' then moves.overall_change else moves.points_change end)
                desc nulls last,
                moves.area asc,
                moves.metric asc
        ) as place
    from changed
    left join moves
        on changed.release = moves.release
        and changed.unit_code = moves.unit_code
        and changed.area in (moves.area, 'overall')
),

named as (
    select release, unit_code, count(*) as exclusions
    from {{ ref('release_exclusions') }}
    group by release, unit_code
)

select
    ordered.release,
    ordered.previous_release,
    ordered.period_code,
    ordered.unit_code,
    ordered.unit_name,
    ordered.area,
    ordered.old_score,
    ordered.new_score,
    ordered.old_rank,
    ordered.new_rank,
    ordered.old_list,
    ordered.new_list,
    ordered.top_area,
    ordered.top_metric,
    ordered.top_points_change,
    cast(coalesce(named.exclusions, 0) as bigint) as exclusions
from ordered
left join named
    on ordered.release = named.release
    and ordered.unit_code = named.unit_code
    and ordered.area in ('hotline', 'overall')
where ordered.place = 1
