-- Grain: new revision × approved exclusion (剔除, ticket × unit) behind it: approved now and not yet in what was
-- published last, of a lead dispatch with a date in the period, of a unit whose figures of the hotline changed.
with approvals as (
    select exclusions.*
    from {{ ref('fct_ticket_exclusions') }} as exclusions
    left join {{ source('previous', 'ticket_exclusions') }} as known
        on exclusions.ticket_no = known.ticket_no and exclusions.unit_key = known.unit_key and known.is_approved
    where exclusions.is_approved and known.ticket_no is null
),

struck as (
    select
        approvals.*,
        dispatches.dispatched_month,
        dispatches.sign_due_month,
        dispatches.due_month,
        dispatches.replied_month,
        tickets.callback_month
    from approvals
    inner join {{ ref('fct_ticket_dispatches') }} as dispatches
        on approvals.ticket_no = dispatches.ticket_no and approvals.unit_code = dispatches.unit_code
    left join {{ ref('fct_tickets') }} as tickets on approvals.ticket_no = tickets.ticket_no
    where dispatches.is_lead and dispatches.exclusion_reason = 'approved_exclusion'
),

moved as (
    select newest.release, figures.unit_code, count(*) as metrics_changed
    from {{ ref('new_releases') }} as newest
    inner join {{ ref('scored_metrics') }} as figures on newest.period_code = figures.period_code
    inner join {{ source('previous', 'unit_metrics') }} as earlier
        on earlier.release = newest.period_code || '-r' || cast(newest.revision - 1 as string)
        and figures.unit_code = earlier.unit_code
        and figures.area = earlier.area
        and figures.metric = earlier.metric
    where
        figures.area = 'hotline'
        and (
            coalesce(figures.numerator, -1) <> coalesce(earlier.numerator, -1)
            or coalesce(figures.denominator, -1) <> coalesce(earlier.denominator, -1)
        )
    group by newest.release, figures.unit_code
)

select distinct
    newest.release,
    newest.period_code,
    struck.ticket_no,
    struck.unit_code,
    units.unit_name,
    struck.ground,
    struck.requested_at,
    struck.approved_at,
    moved.metrics_changed
from struck
inner join {{ ref('new_releases') }} as newest on newest.revision > 1
inner join {{ ref('scored_periods') }} as periods
    on newest.period_code = periods.period_code
    and (
        struck.dispatched_month between periods.first_month and periods.last_month
        or struck.sign_due_month between periods.first_month and periods.last_month
        or struck.due_month between periods.first_month and periods.last_month
        or struck.replied_month between periods.first_month and periods.last_month
        or struck.callback_month between periods.first_month and periods.last_month
    )
inner join moved on newest.release = moved.release and struck.unit_code = moved.unit_code
inner join {{ ref('dim_unit') }} as units on struck.unit_code = units.unit_code
