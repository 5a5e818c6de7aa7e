-- Grain: revision × approved exclusion (剔除, ticket × unit) that arrived since the revision before and moved figures of
-- its unit. Append-only: what was told before, and what stands behind the revisions of this build.
select
    release, period_code, ticket_no, unit_code, unit_name, ground, requested_at, approved_at,
    cast(metrics_changed as bigint) as metrics_changed
from {{ source('previous', 'release_exclusions') }}
union all
select
    release, period_code, ticket_no, unit_code, unit_name, ground, requested_at, approved_at,
    cast(metrics_changed as bigint) as metrics_changed
from {{ ref('new_exclusions') }}
