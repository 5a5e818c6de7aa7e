-- Grain: one month.
select
    month_code,
    min(date_day) as first_day,
    max(date_day) as last_day,
    {{ end_of_day('max(date_day) + 5') }} as cut_off
from {{ ref('dim_date') }}
group by month_code
