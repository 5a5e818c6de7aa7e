-- Grain: one ticket of the hotline (工单), by 工单编号.
select
    ticket_no,
    demand_type,
    demand_category,
    handling = '直接答复' as is_direct_answer,
    called_at,
    {{ month_code('called_at') }} as called_month,
    related_ticket_no,
    ticket_status,
    closed_at,
    callback_at,
    {{ month_code('callback_at') }} as callback_month,
    callback_result,
    solved,
    satisfaction,
    ticket_status <> '作废' as is_counted,
    updated_at
from {{ ref('stg_hotline_tickets') }}
where row_state = 'current'
