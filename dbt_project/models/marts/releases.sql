-- Grain: one release: a period's revision. Append-only: what was released before, and a new revision of each requested
-- period whose content differs from its newest one. `release` is <period_code>-r<revision>.
with earlier as (
    select
        release, period_code, revision, cut_off, released_at, rule_set, input_digest, content_digest, reason
    from {{ source('previous', 'releases') }}
),

newest as (
    select period_code, max(revision) as revision
    from earlier
    group by period_code
),

computed as (
    select
        periods.period_code,
        periods.cut_off,
        periods.rule_set,
        digests.content_digest,
        coalesce(newest.revision, 0) as last_revision,
        earlier.content_digest as last_digest
    from {{ ref('scored_periods') }} as periods
    inner join {{ ref('content_digests') }} as digests on periods.period_code = digests.period_code
    left join newest on periods.period_code = newest.period_code
    left join earlier on newest.period_code = earlier.period_code and newest.revision = earlier.revision
    where periods.is_requested
)

select * from earlier
union all
select
    computed.period_code || '-r' || cast(computed.last_revision + 1 as string) as release,
    computed.period_code,
    cast(computed.last_revision + 1 as integer) as revision,
    computed.cut_off,
    run.released_at,
    computed.rule_set,
    run.input_digest,
    computed.content_digest,
    case
        when run.reason <> '' then run.reason
        when computed.last_revision = 0 then '首次发布 first release'
        else '迟到或更正的数据 late or corrected rows'
    end as reason
from computed
cross join {{ source('staged', 'run') }} as run
where computed.last_digest is null or computed.last_digest <> computed.content_digest
