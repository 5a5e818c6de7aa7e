-- What explains a rank adds up to it: parts to the published score, gap and change, to 1e-9. The gap and the change are
-- taken again from the published scores: of the unit above, and of the period before where it is released too.
with sums as (
    select
        release,
        period_code,
        unit_code,
        area,
        max(score) as score,
        max(above_unit_code) as above_unit_code,
        max(gap) as gap,
        max(gap_reason) as gap_reason,
        max(change) as change,
        max(change_reason) as change_reason,
        sum(score_part) as score_parts,
        sum(gap_part) as gap_parts,
        sum(change_part) as change_parts
    from {{ ref('rank_explanations') }}
    group by release, period_code, unit_code, area
)

select
    ranks.release,
    ranks.unit_code,
    ranks.area,
    scores.score,
    sums.score_parts,
    above.score - scores.score as gap,
    sums.gap_parts,
    sums.change,
    sums.change_parts
from {{ ref('unit_rankings') }} as ranks
inner join {{ ref('unit_scores') }} as scores
    on ranks.release = scores.release and ranks.unit_code = scores.unit_code and ranks.area = scores.area
full outer join sums
    on ranks.release = sums.release and ranks.unit_code = sums.unit_code and ranks.area = sums.area
left join {{ ref('unit_scores') }} as above
    on sums.period_code = above.period_code and sums.above_unit_code = above.unit_code and sums.area = above.area
where
    sums.unit_code is null
    or ranks.unit_code is null
    or (scores.score is null) <> (sums.score_parts is null)
    or abs(scores.score - sums.score_parts) > 1e-9
    or abs(scores.score - sums.score) > 1e-9
    or (ranks.rank is null or ranks.rank = 1) <> (sums.gap_parts is null)
    or (sums.gap_parts is null) <> (sums.gap_reason is not null)
    or abs(above.score - scores.score - sums.gap_parts) > 1e-9
    or abs(sums.gap - sums.gap_parts) > 1e-9
    or (sums.change_parts is null) <> (sums.change_reason is not null)
    or abs(sums.change - sums.change_parts) > 1e-9
