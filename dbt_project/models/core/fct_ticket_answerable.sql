-- Grain: one ticket × span of cut-off months: the counted dispatch that answers for the ticket's call-back.
-- It is the last by 派单序号 of those known by the cut-off, so it can change when a ticket is dispatched again later;
-- replaced_in_month is the first cut-off month for which it no longer does (null: it still does).
with by_month as (
    select ticket_no, known_month, max(dispatch_no) as dispatch_no
    from {{ ref('fct_ticket_dispatches') }}
    where is_counted
    group by ticket_no, known_month
),

leaders as (
    select
        ticket_no,
        known_month,
        max(dispatch_no) over (
            partition by ticket_no order by known_month rows unbounded preceding
        ) as dispatch_no
    from by_month
),

spans as (
    select ticket_no, dispatch_no, min(known_month) as valid_from_month
    from leaders
    group by ticket_no, dispatch_no
)

select
    spans.ticket_no,
    spans.valid_from_month,
    lead(spans.valid_from_month) over (
        partition by spans.ticket_no order by spans.valid_from_month
    ) as replaced_in_month,
    dispatches.dispatch_no,
    dispatches.unit_code,
    dispatches.reported_solved
from spans
inner join {{ ref('fct_ticket_dispatches') }} as dispatches
    on spans.ticket_no = dispatches.ticket_no and spans.dispatch_no = dispatches.dispatch_no
