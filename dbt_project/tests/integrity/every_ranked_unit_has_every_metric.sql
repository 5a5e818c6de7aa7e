-- The spine kept every row: a metric of a ranked unit that is missing from a released period would be a silent zero.
with expected as (
    select newest.release, units.unit_code, metrics.area, metrics.metric
    from {{ ref('new_releases') }} as newest
    inner join {{ ref('metrics') }} as metrics on newest.rule_set = metrics.rule_set
    cross join {{ ref('units') }} as units
    where units.ranked
)

select expected.*, marts.release as found_release
from expected
full outer join (
    select unit_metrics.*
    from {{ ref('unit_metrics') }} as unit_metrics
    inner join {{ ref('new_releases') }} as newest on unit_metrics.release = newest.release
) as marts
    on expected.release = marts.release
    and expected.unit_code = marts.unit_code
    and expected.area = marts.area
    and expected.metric = marts.metric
where expected.release is null or marts.release is null
