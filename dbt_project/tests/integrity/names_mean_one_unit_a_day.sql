-- A name that means two units on one day would count a row twice.
select one.unit_name, one.unit_code, other.unit_code as other_unit_code
from {{ ref('unit_names') }} as one
inner join {{ ref('unit_names') }} as other
    on one.unit_name = other.unit_name
    and one.unit_code < other.unit_code
    and one.valid_from <= other.valid_to
    and other.valid_from <= one.valid_to
union all
select unit_name, unit_code, 'twice'
from {{ ref('unit_names') }}
group by unit_name, unit_code, valid_from
having count(*) > 1
union all
select names.unit_name, names.unit_code, 'unknown unit'
from {{ ref('unit_names') }} as names
left join {{ ref('units') }} as units on names.unit_code = units.unit_code
where units.unit_code is null
