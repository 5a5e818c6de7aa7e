-- Grain: one month from the first to the last delivered one: the months for which anything can be owed.
select months.month_code, months.first_day, months.last_day, months.cut_off
from {{ ref('dim_month') }} as months
where
    months.month_code >= (select min(month) from {{ source('staged', 'delivered_months') }})
    and months.month_code <= (select max(month) from {{ source('staged', 'delivered_months') }})
