select case_type, count(*) as cases, min(accepted_at) as first_accepted_at
from {{ ref('cases') }} join {{ ref('words') }} on true
group by 1
