{{ config(meta={'touched': ['period_code', 'scoring.touched_periods']}) }}
-- Grain: one computed period: the digest of its metrics, scores and ranks. Times, revision and rank_change (with what
-- hangs on it) are left out: they alone never make a revision.
-- depends_on: {{ ref('touched_periods') }}
with lines as (
    select
        period_code,
        'm|' || unit_code || '|' || area || '|' || metric || '|' || {{ digest_number('numerator') }} || '|'
        || {{ digest_number('denominator') }} || '|' || {{ digest_number('value') }} || '|'
        || {{ digest_number('adjusted') }} || '|' || {{ digest_number('points') }} || '|'
        || coalesce(null_reason, '~') as line
    from {{ ref('scored_metrics') }}
    where {{ is_touched('period_code', 'content_digests') }}
    union all
    select
        period_code,
        's|' || unit_code || '|' || area || '|' || {{ digest_number('score') }} || '|' || {{ digest_number('score_sd') }}
        || '|' || {{ digest_number('coverage') }} || '|' || coalesce(veto_reason, '~') || '|' || coalesce(null_reason, '~')
    from {{ ref('scored_areas') }}
    where {{ is_touched('period_code', 'content_digests') }}
    union all
    select
        period_code,
        'r|' || unit_code || '|' || area || '|' || {{ digest_number('score') }} || '|' || {{ digest_number('rank') }}
        || '|' || {{ digest_number('rank_best') }} || '|' || {{ digest_number('rank_worst') }} || '|'
        || coalesce(list, '~') || '|' || coalesce(null_reason, '~')
    from {{ ref('ranked_units') }}
    where {{ is_touched('period_code', 'content_digests') }}
)

select period_code, {{ digest_rows('line') }} as content_digest
from lines
group by period_code
