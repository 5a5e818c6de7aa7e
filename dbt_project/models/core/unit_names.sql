-- Grain: one name × span of days: which unit a name means when. The unit's own name is always valid.
select unit_name, unit_code, cast('0001-01-01' as date) as valid_from, cast('9999-12-31' as date) as valid_to
from {{ ref('units') }}
union all
select
    alias as unit_name,
    unit_code,
    coalesce(valid_from, cast('0001-01-01' as date)) as valid_from,
    coalesce(valid_to, cast('9999-12-31' as date)) as valid_to
from {{ ref('unit_aliases') }}
