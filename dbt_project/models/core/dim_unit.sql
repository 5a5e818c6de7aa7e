-- Grain: one unit; UNMAPPED stands for every name that no alias knows.
select unit_code, unit_name, unit_group, ranked
from {{ ref('units') }}
union all
select 'UNMAPPED' as unit_code, '未匹配单位' as unit_name, 'unmapped' as unit_group, false as ranked
