-- Rules that contradict themselves would rank wrongly without an error: weights of a scored metric need a target and a
-- floor apart, every area needs a scored metric, every program an area of its own, at most one rule set a day.
select 'target equals floor' as fault, rule_set, area, metric
from {{ ref('metrics') }}
where weight is not null and (target is null or floor is null or target = floor)
union all
-- A floor of 0 or 1, or a certainty, would let one row decide for ever.
select 'evidence without a floor inside 0 and 1', rule_set, area, metric
from {{ ref('metrics') }}
where
    lagging_share is not null
    and (floor is null or kind <> 'share' or not (floor > 0 and floor < 1 and lagging_share > 0 and lagging_share < 1))
union all
select 'look-back without odds, or the other way round', rule_set, null, null
from {{ ref('rule_sets') }}
where (lagging_months is null) <> (lagging_odds is null) or lagging_months < 1 or lagging_odds <= 1
union all
select 'no interval of ranks', rule_set, null, null
from {{ ref('rule_sets') }}
where rank_z is null or rank_z <= 0
union all
select 'area without a scored metric', areas.rule_set, areas.area, null
from {{ ref('areas') }} as areas
left join {{ ref('metrics') }} as metrics
    on areas.rule_set = metrics.rule_set and areas.area = metrics.area and metrics.weight is not null
where metrics.metric is null
union all
select 'two rule sets in force', one.rule_set, null, other.rule_set
from {{ ref('rule_sets') }} as one
inner join {{ ref('rule_sets') }} as other
    on one.rule_set < other.rule_set
    and (one.effective_from is null or other.effective_to is null or one.effective_from <= other.effective_to)
    and (other.effective_from is null or one.effective_to is null or other.effective_from <= one.effective_to)
union all
select 'program in two areas', null, max(area), program
from {{ ref('requirements') }}
group by program
having count(distinct area) > 1
