{%- set spread = 'sqrt(mine.score_sd * mine.score_sd + other.score_sd * other.score_sd)' -%}
{{ config(meta={'touched': ['period_code', 'scoring.touched_periods']}) }}
-- Grain: computed period × area × ranked unit: place in its group, interval, change, lists. METRICS.md, Ranks.
-- depends_on: {{ ref('touched_periods') }}
with scores as (
    select
        scores.*,
        units.unit_name,
        {{ round_score('scores.score') }} as rounded_score,
        -- Areas of census metrics only leave nothing to chance, so they have no interval.
        scores.area = 'overall' or exists (
            select 1 from {{ ref('dim_metric') }} as metrics
            where metrics.rule_set = scores.rule_set and metrics.area = scores.area and metrics.is_shrunk
        ) as has_interval,
        evidence.log_odds
    from {{ ref('scored_areas') }} as scores
    inner join {{ ref('dim_unit') }} as units on scores.unit_code = units.unit_code
    left join {{ ref('lagging_evidence') }} as evidence
        on scores.period_code = evidence.period_code
        and scores.unit_code = evidence.unit_code
        and scores.area = evidence.area
    -- The period before a touched one is ranked for what it is compared with.
    where {{ is_touched_or_before('scores.period_code', 'ranked_units') }}
),

ranked as (
    select
        *,
        case
            when rounded_score is not null then rank() over (
                partition by period_code, unit_group, area order by rounded_score desc nulls last
            )
        end as rank,
        case
            when rounded_score is not null
                then count(*) over (partition by period_code, unit_group, area, rounded_score) > 1
            else false
        end as tied,
        count(rounded_score) over (partition by period_code, unit_group, area) as group_size
    from scores
),

pairs as (
    select
        mine.period_code,
        mine.area,
        mine.unit_code,
        sum({{ one_if('other.rounded_score - mine.rounded_score > rules.rank_z * ' ~ spread) }}) as surely_better,
        sum({{ one_if('mine.rounded_score - other.rounded_score > rules.rank_z * ' ~ spread) }}) as surely_worse
    from ranked as mine
    inner join ranked as other
        on mine.period_code = other.period_code
        and mine.area = other.area
        and mine.unit_group = other.unit_group
    inner join {{ ref('rule_sets') }} as rules on mine.rule_set = rules.rule_set
    where mine.has_interval and mine.rounded_score is not null and other.rounded_score is not null
    group by mine.period_code, mine.area, mine.unit_code
),

compared as (
    select
        ranked.*,
        1 + pairs.surely_better as rank_best,
        ranked.group_size - pairs.surely_worse as rank_worst,
        earlier.rank - ranked.rank as rank_change
    from ranked
    inner join {{ ref('scored_periods') }} as periods on ranked.period_code = periods.period_code
    left join {{ ref('scored_periods') }} as earlier_periods
        on periods.previous_period_code = earlier_periods.period_code and earlier_periods.is_complete
    left join ranked as earlier
        on earlier_periods.period_code = earlier.period_code
        and ranked.unit_code = earlier.unit_code
        and ranked.area = earlier.area
        and ranked.rule_set = earlier.rule_set
    left join pairs
        on ranked.period_code = pairs.period_code
        and ranked.area = pairs.area
        and ranked.unit_code = pairs.unit_code
),

candidates as (
    select
        compared.*,
        rules.good_named_at_most,
        compared.group_size >= rules.listed_group_size
        and compared.rank <= rules.good_rank
        and compared.rounded_score >= rules.good_score
        and not compared.has_veto
        and (compared.area <> 'overall' or compared.coverage >= rules.good_coverage) as is_good,
        -- Where the rule set asks for evidence over months (decision 0010), the one period's score lists nobody.
        case
            when compared.log_odds is not null then compared.log_odds >= ln(rules.lagging_odds)
            else coalesce(compared.rounded_score < rules.lagging_score, false)
        end
        or (compared.area <> 'overall' and compared.has_veto) as is_lagging,
        coalesce(
            compared.group_size >= rules.listed_group_size
            and compared.rank_change >= rules.improved_places
            and compared.rank_change = max(compared.rank_change) over (
                partition by compared.period_code, compared.unit_group, compared.area
            ),
            false
        ) as most_improved
    from compared
    inner join {{ ref('rule_sets') }} as rules on compared.rule_set = rules.rule_set
),

named as (
    select
        *,
        sum({{ one_if('is_good') }}) over (partition by period_code, unit_group, area) as good_units
    from candidates
)

select
    period_code,
    unit_group,
    unit_code,
    unit_name,
    area,
    cast(rounded_score as double) as score,
    cast(rank as integer) as rank,
    tied,
    cast(rank_best as integer) as rank_best,
    cast(rank_worst as integer) as rank_worst,
    cast(rank_change as integer) as rank_change,
    case
        when is_good and good_units <= good_named_at_most then 'good'
        when is_lagging then 'lagging'
    end as list,
    most_improved,
    case when is_good and good_units > good_named_at_most then 'too_many_ties' else null_reason end as null_reason,
    rule_set
from named
