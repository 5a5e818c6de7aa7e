-- Grain: one period whose figures are computed, where the build keeps those of an earlier one; else no row: all are.
-- A period is touched where anything that its scores are made of is otherwise than it was: the period, its areas, a
-- figure of a month that it holds or looks back on, a veto. One that compares with a touched one is touched with it.
{% if keeps() %}
with changed_periods as (
    {{ changed_rows(ref('scored_periods'), 'taken.scored_periods', 'period_code') }}
    union
    {{ changed_rows(ref('period_areas'), 'taken.period_areas', 'period_code') }}
    union
    {{ changed_rows(source('staged', 'undelivered_areas'), 'taken.undelivered_areas', 'period_code') }}
),

changed_months as (
    {{ changed_rows(ref('unit_month_metrics'), 'taken.unit_month_metrics', 'month_code, known_month') }}
    union
    {{ changed_rows(ref('unit_month_vetoes'), 'taken.unit_month_vetoes', 'month_code, month_code') }}
),

own as (
    select period_code from changed_periods
    union
    select periods.period_code
    from {{ ref('scored_periods') }} as periods
    inner join {{ ref('rule_sets') }} as rules on periods.rule_set = rules.rule_set
    inner join changed_months as changed
        on changed.month_code <= periods.last_month
        and changed.known_month <= periods.last_month
        and {{ month_number('changed.month_code') }} > {{ month_number('periods.last_month') }}
        - greatest(coalesce(rules.lagging_months, 0), periods.months)
)

select period_code from own
union
select period_code from {{ ref('scored_periods') }}
where previous_period_code in (select own.period_code from own)
{% else %}
-- depends_on: {{ ref('scored_periods') }} {{ ref('period_areas') }} {{ ref('unit_month_metrics') }}
-- depends_on: {{ ref('unit_month_vetoes') }} {{ ref('rule_sets') }} {{ source('staged', 'undelivered_areas') }}
select cast(null as string) as period_code
where false
{% endif %}
