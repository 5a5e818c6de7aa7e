-- Grain: one dataset. Both identities of EXPORTS.md (What happens to a row that does not fit):
-- rows_in = rows_loaded + rows_quarantined over the delivered files, rows_loaded = current + superseded + deleted.
-- Where facts were taken over from an earlier build, rows of keys that nothing touched are counted as that build did.
with delivered as (
    select
        dataset,
        sum(rows_in) as rows_in,
        sum(rows_loaded) as rows_loaded,
        sum(rows_quarantined) as rows_quarantined
    from {{ source('audit', 'deliveries') }}
    where outcome = 'accepted'
    group by dataset
),

{% set kept = ['platform_cases', 'platform_reviews'] | select('in', var('datasets')) | list if keeps() else [] %}
{% for dataset in kept %}
-- Staging holds every delivered row of the touched keys: the states that those of before had, before the others came.
{{ dataset }}_then as (
    select * exclude (row_state) from {{ ref('stg_' ~ dataset) }}
    where _landing_id not in (select landing_id from staged.new_landings)
),
{% endfor %}

states_now as (
    {% for dataset in var('datasets') %}
    select
        '{{ dataset }}' as dataset,
        coalesce(sum({{ one_if("row_state = 'current'") }}), 0) as rows_current,
        coalesce(sum({{ one_if("row_state = 'superseded'") }}), 0) as rows_superseded,
        coalesce(sum({{ one_if("row_state = 'deleted'") }}), 0) as rows_deleted
    from {{ ref('stg_' ~ dataset) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
    {% for dataset in kept %}
    union all
    select
        '{{ dataset }}' as dataset,
        -coalesce(sum({{ one_if("row_state = 'current'") }}), 0) as rows_current,
        -coalesce(sum({{ one_if("row_state = 'superseded'") }}), 0) as rows_superseded,
        -coalesce(sum({{ one_if("row_state = 'deleted'") }}), 0) as rows_deleted
    from ({{ upsert_states(dataset ~ '_then') }}) as states_then
    union all
    select dataset, rows_current, rows_superseded, rows_deleted
    from taken.rows
    where dataset = '{{ dataset }}'
    {% endfor %}
),

states as (
    select
        dataset,
        sum(rows_current) as rows_current,
        sum(rows_superseded) as rows_superseded,
        sum(rows_deleted) as rows_deleted
    from states_now
    group by dataset
),

staged as (
    {% for dataset in var('datasets') %}
    {% if keeps() %}
    -- Of the files that the earlier build counted each is sealed, and was compared with its seal.
    select '{{ dataset }}' as dataset, rows_staged + (select count(*) from staged.new_{{ dataset }}) as rows_staged
    from taken.rows
    where dataset = '{{ dataset }}'
    {% else %}
    select '{{ dataset }}' as dataset, count(*) as rows_staged from {{ source('staged', dataset) }}
    {% endif %}
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    states.dataset,
    cast(coalesce(delivered.rows_in, 0) as bigint) as rows_in,
    cast(coalesce(delivered.rows_loaded, 0) as bigint) as rows_loaded,
    cast(coalesce(delivered.rows_quarantined, 0) as bigint) as rows_quarantined,
    cast(staged.rows_staged as bigint) as rows_staged,
    cast(states.rows_current as bigint) as rows_current,
    cast(states.rows_superseded as bigint) as rows_superseded,
    cast(states.rows_deleted as bigint) as rows_deleted,
    coalesce(delivered.rows_in, 0) = coalesce(delivered.rows_loaded, 0) + coalesce(delivered.rows_quarantined, 0)
    and coalesce(delivered.rows_loaded, 0) = staged.rows_staged
    and staged.rows_staged = states.rows_current + states.rows_superseded + states.rows_deleted as is_balanced
from states
inner join staged on states.dataset = staged.dataset
left join delivered on states.dataset = delivered.dataset
