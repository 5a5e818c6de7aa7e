-- Grain: month × cut-off month from which the figures hold × area × metric: the county's sum over all its units, the
-- operator and UNMAPPED included. What a region adds up, over periods as over units (docs/region.md).
select
    month_code,
    known_month,
    area,
    metric,
    cast(sum(numerator) as bigint) as numerator,
    cast(sum(denominator) as bigint) as denominator
from {{ ref('unit_month_metrics') }}
group by month_code, known_month, area, metric
