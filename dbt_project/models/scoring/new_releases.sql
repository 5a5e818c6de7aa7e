-- Grain: one release that this build adds.
select releases.*
from {{ ref('releases') }} as releases
left join {{ source('previous', 'releases') }} as earlier on releases.release = earlier.release
where earlier.release is null
