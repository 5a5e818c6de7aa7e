-- Grain: one released period: its newest revision.
select releases.*
from {{ ref('releases') }} as releases
inner join (
    select period_code, max(revision) as revision from {{ ref('releases') }} group by period_code
) as newest
    on releases.period_code = newest.period_code and releases.revision = newest.revision
