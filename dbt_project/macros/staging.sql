{# Every delivered good row with its state by the upsert rule of EXPORTS.md (Delivery):
     current     the row of its key with the greatest 更新时间, then the later delivery
     deleted     that row is a deletion: the key is gone
     superseded  another row of the key won
   `key` is an expression over the relation's columns. #}
{% macro upsert_states(relation, key='_key') -%}
select
    *,
    case
        when row_number() over (
            partition by {{ key }}
            order by updated_at desc, _month desc, _pulled_at desc, _file desc, _row desc, _landing_id desc
        ) > 1 then 'superseded'
        when _deleted then 'deleted'
        else 'current'
    end as row_state
from {{ relation }}
{%- endmacro %}
