-- Grain: month × area × veto reason: units of the county gave cause for it. How many did in that month and area for any
-- reason, of how many ranked ones: a region takes as much of the county's month away (docs/region.md).
with vetoes as (
    select vetoes.*
    from {{ ref('unit_month_vetoes') }} as vetoes
    inner join {{ ref('dim_unit') }} as units on vetoes.unit_code = units.unit_code
    where units.ranked
),

vetoed as (
    select month_code, area, count(distinct unit_code) as vetoed_units
    from vetoes
    group by month_code, area
),

ranked as (
    select count(*) as ranked_units
    from {{ ref('dim_unit') }}
    where ranked
)

select distinct
    vetoes.month_code,
    vetoes.area,
    vetoes.reason,
    cast(vetoed.vetoed_units as bigint) as vetoed_units,
    cast(ranked.ranked_units as bigint) as ranked_units
from vetoes
inner join vetoed on vetoes.month_code = vetoed.month_code and vetoes.area = vetoed.area
cross join ranked
