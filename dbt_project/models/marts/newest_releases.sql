-- Grain: one released period: its newest revision.
select releases.*
from {{ ref('releases') }} as releases
inner join (
    select every.period_code, max(every.revision) as revision
    from {{ ref('releases') }} as every
    group by every.period_code
) as newest
    on releases.period_code = newest.period_code and releases.revision = newest.revision
