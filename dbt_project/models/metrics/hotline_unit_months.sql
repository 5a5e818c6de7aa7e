-- Grain: unit × month × cut-off month from which the figures hold × metric of the area hotline.
with dispatches as (
    select * from {{ ref('fct_ticket_dispatches') }}
    where is_counted
),


signing as (
    select
        unit_code,
        sign_due_month as month_code,
        {{ known_from('sign_due_month') }} as known_month,
        count(*) as to_sign,
        sum({{ one_if('signed_at <= sign_due_at') }}) as signed_on_time
    from dispatches
    where sign_due_month is not null
    group by unit_code, sign_due_month, {{ known_from('sign_due_month') }}
),

due as (
    select
        unit_code,
        due_month as month_code,
        {{ known_from('due_month') }} as known_month,
        count(*) as due,
        sum({{ one_if('replied_at <= due_at') }}) as replied_by_due
    from dispatches
    group by unit_code, due_month, {{ known_from('due_month') }}
),

replied as (
    select
        unit_code,
        replied_month as month_code,
        {{ known_from('replied_month') }} as known_month,
        count(*) as replied,
        sum({{ one_if('redo_count >= 1') }}) as reworked
    from dispatches
    where replied_month is not null
    group by unit_code, replied_month, {{ known_from('replied_month') }}
),

dispatched as (
    select
        unit_code,
        dispatched_month as month_code,
        dispatched_month as known_month,
        count(*) as dispatched,
        sum({{ one_if('is_repeat') }}) as repeats,
        sum({{ one_if('urge_count >= 1') }}) as urged
    from dispatches
    group by unit_code, dispatched_month
),

-- The numerator of invalid_return_rate: a return after a period's cut-off does not count for it yet.
returned as (
    select
        unit_code,
        dispatched_month as month_code,
        greatest(dispatched_month, {{ known_month('returned_at') }}) as known_month,
        count(*) as returned_wrongly
    from dispatches
    where returned_at is not null and not return_upheld
    group by unit_code, dispatched_month, greatest(dispatched_month, {{ known_month('returned_at') }})
),

-- A call-back belongs to the dispatch that answers for the ticket at a cut-off: it counts for that unit from then
-- on, and stops counting (−1) when a later dispatch takes over.
callbacks as (
    select
        answerable.unit_code,
        tickets.callback_month as month_code,
        greatest(tickets.callback_month, answerable.valid_from_month) as valid_from_month,
        answerable.replaced_in_month,
        {{ one_if("tickets.callback_result = '已接通' and tickets.solved is not null") }} as asked,
        {{ one_if("tickets.callback_result = '已接通' and tickets.solved = '解决'") }} as solved,
        {{ one_if("tickets.satisfaction in ('满意', '基本满意', '不满意')") }} as rated,
        {{ one_if("tickets.satisfaction in ('满意', '基本满意')") }} as satisfied,
        {{ one_if("answerable.reported_solved = '解决'") }} as reported_solved
    from {{ ref('fct_tickets') }} as tickets
    inner join {{ ref('fct_ticket_answerable') }} as answerable on tickets.ticket_no = answerable.ticket_no
    where tickets.is_counted and tickets.callback_month is not null
),

called_back as (
    select
        unit_code, month_code, valid_from_month as known_month, 1 as sign,
        asked, solved, rated, satisfied, reported_solved
    from callbacks
    where replaced_in_month is null or replaced_in_month > valid_from_month
    union all
    select unit_code, month_code, replaced_in_month, -1, asked, solved, rated, satisfied, reported_solved
    from callbacks
    where replaced_in_month > valid_from_month
),

judged as (
    select
        unit_code,
        month_code,
        known_month,
        sum(sign * asked) as asked,
        sum(sign * solved) as solved,
        sum(sign * rated) as rated,
        sum(sign * satisfied) as satisfied,
        sum(sign * asked * reported_solved) as reported_solved,
        sum(sign * (asked - solved) * reported_solved) as falsely_reported
    from called_back
    group by unit_code, month_code, known_month
)

{{ metric_rows('signing', 'hotline', {'sign_on_time_rate': ['signed_on_time', 'to_sign']}) }}
union all
{{ metric_rows('due', 'hotline', {'close_on_time_rate': ['replied_by_due', 'due']}) }}
union all
{{ metric_rows('judged', 'hotline', {
    'solved_rate': ['solved', 'asked'],
    'satisfied_rate': ['satisfied', 'rated'],
    'false_report_rate': ['falsely_reported', 'reported_solved'],
}) }}
union all
{{ metric_rows('replied', 'hotline', {'rework_rate': ['reworked', 'replied']}) }}
union all
{{ metric_rows('dispatched', 'hotline', {
    'dispatched': ['dispatched', none],
    'repeat_rate': ['repeats', 'dispatched'],
    'urged_rate': ['urged', 'dispatched'],
    'invalid_return_rate': ['0', 'dispatched'],
}) }}
union all
{{ metric_rows('returned', 'hotline', {'invalid_return_rate': ['returned_wrongly', '0']}) }}
