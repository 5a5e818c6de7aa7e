-- Grain: computed period × area × figure: the county's figures, over all units (the operator and UNMAPPED included).
-- A figure is a metric summed over the units, a count, or a part `<whole>/<dimension>=<part>` whose numerators add up
-- to the whole's. value is the share where there is a denominator, else the count. A region adds its counties' up: a
-- figure whose denominator is no such sum is named in region/warehouse.py, too.
with periods as (
    select * from {{ ref('scored_periods') }}
),

metrics as (
    select
        periods.period_code,
        months.area,
        months.metric as figure,
        sum(months.numerator) as numerator,
        sum(months.denominator) as denominator
    from periods
    inner join {{ ref('unit_month_metrics') }} as months
        on months.month_code between periods.first_month and periods.last_month
        and months.known_month <= periods.last_month
    -- A metric that the rule set leaves out is one that the county's sources cannot support: 0 of it would be untrue.
    inner join {{ ref('dim_metric') }} as ruled
        on periods.rule_set = ruled.rule_set and months.area = ruled.area and months.metric = ruled.metric
    -- The county's `dispatched` counts tickets, each once; the units' counts dispatches.
    where months.metric <> 'dispatched'
    group by periods.period_code, months.area, months.metric
),

cases as (
    select periods.period_code, months.metric as figure, sum(months.numerator) as cases
    from periods
    inner join {{ ref('unit_month_metrics') }} as months
        on months.month_code between periods.first_month and periods.last_month
    where months.area = 'platform' and months.metric like 'cases_accepted/channel=%'
    group by periods.period_code, months.metric
),

-- 好评数据: every counted good review left by a person since the beginning, up to the period's last day.
good_reviews as (
    select
        periods.period_code,
        replace(months.metric, 'good_reviews/', 'good_reviews_to_date/') as figure,
        sum(months.numerator) as reviews
    from periods
    inner join {{ ref('unit_month_metrics') }} as months on months.month_code <= periods.last_month
    where months.area = 'platform' and months.metric like 'good_reviews/channel=%'
    group by periods.period_code, months.metric
),

tickets as (
    select
        periods.period_code,
        tickets.is_direct_answer,
        coalesce(groups.demand_group, tickets.demand_type) as demand_group,
        count(*) as tickets,
        sum({{ one_if('tickets.closed_at <= periods.cut_off') }}) as closed,
        sum(
            {{ one_if('tickets.closed_at <= periods.cut_off and tickets.callback_at <= periods.cut_off') }}
        ) as called_back
    from periods
    inner join {{ ref('fct_tickets') }} as tickets
        on tickets.called_month between periods.first_month and periods.last_month
    left join {{ ref('demand_groups') }} as groups on tickets.demand_type = groups.demand_type
    where tickets.is_counted
    group by periods.period_code, tickets.is_direct_answer, coalesce(groups.demand_group, tickets.demand_type)
),

ticket_callbacks as (
    select
        periods.period_code,
        sum({{ one_if("tickets.callback_result = '已接通' and tickets.solved is not null") }}) as asked,
        sum({{ one_if("tickets.callback_result = '已接通' and tickets.solved = '解决'") }}) as solved,
        sum({{ one_if("tickets.satisfaction in ('满意', '基本满意', '不满意')") }}) as rated,
        sum({{ one_if("tickets.satisfaction in ('满意', '基本满意')") }}) as satisfied
    from periods
    inner join {{ ref('fct_tickets') }} as tickets
        on tickets.callback_month between periods.first_month and periods.last_month
    where tickets.is_counted
    group by periods.period_code
),

-- Each ticket once, for the unit of its last counted lead dispatch of the period.
dispatched as (
    select period_code, unit_code, count(*) as tickets
    from (
        select
            periods.period_code,
            dispatches.unit_code,
            row_number() over (
                partition by periods.period_code, dispatches.ticket_no order by dispatches.dispatch_no desc
            ) as place
        from periods
        inner join {{ ref('fct_ticket_dispatches') }} as dispatches
            on dispatches.dispatched_month between periods.first_month and periods.last_month
        where dispatches.is_counted
    ) as numbered
    where place = 1
    group by period_code, unit_code
),

calls as (
    select
        periods.period_code,
        sum(calls.calls_in) as calls_in,
        sum(calls.calls_answered) as answered,
        sum(case when calls.calls_answered_15s is not null then calls.calls_in end) as calls_in_timed,
        sum(calls.calls_answered_15s) as answered_15s
    from periods
    inner join {{ ref('fct_calls_daily') }} as calls
        on calls.month_code between periods.first_month and periods.last_month
    group by periods.period_code
),

days as (
    select periods.period_code, count(*) as days
    from periods
    inner join {{ ref('dim_date') }} as dates on dates.date_day between periods.first_day and periods.last_day
    group by periods.period_code
),

posts as (
    select periods.period_code, count(*) as posts
    from periods
    inner join {{ ref('fct_posts') }} as posts
        on posts.published_month between periods.first_month and periods.last_month
    where posts.is_published
    group by periods.period_code
),

figures as (
    select period_code, area, figure, numerator, denominator from metrics
    union all
    select
        period_code, 'platform', figure, cases, sum(cases) over (partition by period_code)
    from cases
    union all
    select period_code, 'platform', 'good_reviews_to_date', sum(reviews), null from good_reviews group by period_code
    union all
    select
        period_code, 'platform', figure, reviews,
        sum(reviews) over (partition by period_code)
    from good_reviews
    union all
    select period_code, 'hotline', 'tickets_received', sum(tickets), null from tickets group by period_code
    union all
    select
        period_code, 'hotline', 'tickets_received/demand=' || demand_group, sum(tickets),
        sum(sum(tickets)) over (partition by period_code)
    from tickets
    group by period_code, demand_group
    union all
    select
        period_code, 'hotline',
        'tickets_received/handling=' || case when is_direct_answer then '直接答复' else '转办' end, sum(tickets),
        sum(sum(tickets)) over (partition by period_code)
    from tickets
    group by period_code, is_direct_answer
    union all
    select period_code, 'hotline', 'tickets_closed', sum(closed), null from tickets group by period_code
    union all
    select period_code, 'hotline', 'ticket_closure_rate', sum(closed), sum(tickets) from tickets group by period_code
    union all
    select period_code, 'hotline', 'ticket_callback_rate', sum(called_back), sum(closed)
    from tickets
    group by period_code
    union all
    select period_code, 'hotline', 'ticket_solved_rate', solved, asked from ticket_callbacks
    union all
    select period_code, 'hotline', 'ticket_satisfied_rate', satisfied, rated from ticket_callbacks
    union all
    select period_code, 'hotline', 'dispatched', sum(tickets), null from dispatched group by period_code
    union all
    select
        period_code, 'hotline', 'dispatched/unit=' || unit_code, tickets,
        sum(tickets) over (partition by period_code)
    from dispatched
    union all
    select period_code, 'hotline', 'calls_in', calls_in, null from calls
    union all
    select calls.period_code, 'hotline', 'calls_per_day', calls.calls_in, days.days
    from calls
    inner join days on calls.period_code = days.period_code
    union all
    select period_code, 'hotline', 'call_answer_rate', answered, calls_in from calls
    union all
    select period_code, 'hotline', 'call_answer_15s_rate', answered_15s, calls_in_timed from calls
    union all
    select period_code, 'website', 'posts_published', posts, null from posts
)

-- A figure of an area that lacks a delivery would be a part of the truth: it is left out.
select
    figures.period_code,
    figures.area,
    figures.figure,
    case
        when figures.denominator is null then cast(figures.numerator as double)
        when figures.denominator > 0 then cast(figures.numerator as double) / figures.denominator
    end as value,
    cast(figures.numerator as bigint) as numerator,
    cast(figures.denominator as bigint) as denominator
from figures
inner join {{ ref('period_areas') }} as areas
    on figures.period_code = areas.period_code and figures.area = areas.area and areas.is_delivered
