-- What was released before is there still, unchanged.
select earlier.release
from {{ source('previous', 'releases') }} as earlier
left join {{ ref('releases') }} as releases on earlier.release = releases.release
where
    releases.release is null
    or releases.content_digest <> earlier.content_digest
    or releases.revision <> earlier.revision
union all
select release
from (
    select release, count(*) as rows_then, 0 as rows_now
    from {{ source('previous', 'unit_rankings') }}
    group by release
    union all
    select release, 0, count(*)
    from {{ ref('unit_rankings_revisions') }}
    where release in (select release from {{ source('previous', 'releases') }})
    group by release
) as counts
group by release
having sum(rows_then) <> sum(rows_now)
