-- Every part of the county's figures, `<whole>/<dimension>=<part>`, adds up to its whole.
with parts as (
    select
        period_code,
        area,
        substr(figure, 1, position('/' in figure) - 1) as whole,
        substr(figure, 1, position('=' in figure)) as dimension,
        sum(numerator) as parts_sum,
        max(denominator) as denominator
    from {{ ref('county_totals') }}
    where figure like '%/%=%'
    group by 1, 2, 3, 4
)

select parts.*, wholes.numerator
from parts
left join {{ ref('county_totals') }} as wholes
    on parts.period_code = wholes.period_code and parts.area = wholes.area and parts.whole = wholes.figure
where wholes.numerator is null or parts.parts_sum <> wholes.numerator or parts.denominator <> wholes.numerator
