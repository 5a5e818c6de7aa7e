-- Grain: month × area × veto reason: at least one unit of the county, ranked or not, gave cause for it.
select distinct month_code, area, reason
from {{ ref('unit_month_vetoes') }}
