{# Every delivered good row with its state by the upsert rule of EXPORTS.md (Delivery):
     current     the row of its key with the greatest 更新时间, then the later delivery; within one pull landings are
                 numbered in the order of their files' names (_file itself may be masked)
     deleted     that row is a deletion: the key is gone
     superseded  another row of the key won
   `key` names the column that holds a row's key. Only keys that were delivered more than once are ordered: most were not. #}
{% macro upsert_states(relation, key='_key') -%}
select
    delivered.*,
    case
        when contested.place > 1 then 'superseded'
        when delivered._deleted then 'deleted'
        else 'current'
    end as row_state
from {{ relation }} as delivered
left join (
    select
        _landing_id,
        _row,
        row_number() over (
            partition by {{ key }}
            order by updated_at desc, _month desc, _pulled_at desc, _landing_id desc, _row desc
        ) as place
    from {{ relation }}
    where {{ key }} in (select {{ key }} from {{ relation }} group by {{ key }} having count(*) > 1)
) as contested
    on delivered._landing_id = contested._landing_id and delivered._row = contested._row
{%- endmacro %}
