-- Grain: one period whose figures may differ from those of the build that was taken over (publishing/kept.py), with
-- those that are no longer computed; else no row. A period is touched where anything that it is made of differs: a row of its
-- months, or of its look-back window, that its cut-off knows; a good review of any month before; itself or its areas;
-- and where all that is true of the period that it compares with.
-- depends_on: {{ ref('unit_month_metrics') }} {{ ref('unit_month_vetoes') }} {{ ref('fct_tickets') }}
-- depends_on: {{ ref('fct_ticket_dispatches') }} {{ ref('fct_calls_daily') }} {{ ref('fct_posts') }}
-- depends_on: {{ ref('scored_periods') }} {{ ref('period_areas') }} {{ ref('rule_sets') }}
{% if keeps('periods') %}
with months as (
    select
        month_code,
        known_month,
        area = 'platform' and metric like 'good_reviews/channel=%' as is_to_date
    from {{ differing('unit_month_metrics') }} as unit_months
    {% for relation, months in {
        'unit_month_vetoes': ['month_code'],
        'fct_tickets': ['called_month', 'callback_month'],
        'fct_ticket_dispatches': ['dispatched_month'],
        'fct_calls_daily': ['month_code'],
        'fct_posts': ['published_month'],
    }.items() %}
    {% for month in months %}
    union all
    select {{ month }}, {{ month }}, false
    from {{ differing(relation) }} as {{ relation }}
    {% endfor %}
    {% endfor %}
),

changed_months as (
    select distinct *, {{ month_number('month_code') }} as month_number
    from months
    where month_code is not null
),

own as (
    select periods.period_code
    from {{ ref('scored_periods') }} as periods
    inner join {{ ref('rule_sets') }} as rules on periods.rule_set = rules.rule_set
    inner join changed_months as changed
        on changed.month_code <= periods.last_month
        and changed.known_month <= periods.last_month
        and (
            changed.is_to_date
            or changed.month_number
            > {{ month_number('periods.last_month') }} - greatest(coalesce(rules.lagging_months, 0), periods.months)
        )
    union
    select period_code from {{ differing('scored_periods') }} as changed_periods
    union
    select period_code from {{ differing('period_areas') }} as changed_areas
)

select period_code from own
union
select period_code from {{ ref('scored_periods') }}
where previous_period_code in (select own.period_code from own)
{% else %}
select cast(null as string) as period_code
where false
{% endif %}
