-- Grain: one dispatch of a ticket to a unit (派单), by 工单编号 and 派单序号.
-- is_excluded: of a void ticket, approved for exclusion (剔除) for the unit, or returned with the return upheld.
-- is_counted: a lead (主办) dispatch that is not excluded.
with approved as (
    select ticket_no, unit_key
    from {{ ref('fct_ticket_exclusions') }}
    where is_approved
),

dispatches as (
    select
        dispatches.*,
        {{ unit_code('unit') }} as unit_code,
        {{ unit_key('unit', 'dispatches.unit_name') }} as unit_key,
        {{ unmapped_name('unit', 'dispatches.unit_name') }} as unmapped_name
    from {{ ref('stg_hotline_dispatches') }} as dispatches
    {{ join_unit('unit', 'dispatches.unit_name', 'cast(dispatches.dispatched_at as date)') }}
    where dispatches.row_state = 'current'
),

judged as (
    select
        dispatches.*,
        tickets.ticket_no is not null as is_ticket_known,
        tickets.related_ticket_no is not null as is_repeat,
        case
            when not tickets.is_counted then 'void_ticket'
            when approved.ticket_no is not null then 'approved_exclusion'
            when dispatches.return_upheld then 'upheld_return'
        end as exclusion_reason
    from dispatches
    left join {{ ref('fct_tickets') }} as tickets on dispatches.ticket_no = tickets.ticket_no
    left join approved on dispatches.ticket_no = approved.ticket_no and dispatches.unit_key = approved.unit_key
)

select
    ticket_no,
    dispatch_no,
    unit_code,
    unmapped_name,
    role = '主办' as is_lead,
    dispatched_at,
    {{ month_code('dispatched_at') }} as dispatched_month,
    {{ known_month('dispatched_at') }} as known_month,
    sign_due_at,
    {{ month_code('sign_due_at') }} as sign_due_month,
    signed_at,
    coalesce(extended_due_at, due_at) as due_at,
    {{ month_code('coalesce(extended_due_at, due_at)') }} as due_month,
    replied_at,
    {{ month_code('replied_at') }} as replied_month,
    returned_at,
    return_upheld,
    reported_solved,
    coalesce(urge_count, 0) as urge_count,
    coalesce(supervise_count, 0) as supervise_count,
    coalesce(redo_count, 0) as redo_count,
    is_ticket_known,
    is_repeat,
    exclusion_reason is not null as is_excluded,
    exclusion_reason,
    role = '主办' and exclusion_reason is null as is_counted
from judged
