-- Grain: one request to leave a unit's part in a ticket out of the assessment (剔除): ticket × resolved unit.
select
    ticket_no,
    unit_code,
    unit_key,
    case when unit_code = 'UNMAPPED' then unit_name end as unmapped_name,
    requested_at,
    approved_at,
    coalesce(decision = '同意', false) as is_approved,
    -- Free text stays in ingestion: a ground is told where it is one of the list, else that it is another.
    case trim(grounds)
        {% for ground in var('exclusion_grounds') %}
        when '{{ ground }}' then '{{ ground }}'
        {% endfor %}
        else '其他'
    end as ground,
    updated_at
from {{ ref('stg_hotline_exclusions') }}
where row_state = 'current'
