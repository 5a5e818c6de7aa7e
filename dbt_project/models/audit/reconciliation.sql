-- Grain: one dataset. Both identities of EXPORTS.md (What happens to a row that does not fit):
-- rows_in = rows_loaded + rows_quarantined over the delivered files, rows_loaded = current + superseded + deleted.
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

states as (
    {% for dataset in var('datasets') %}
    select
        '{{ dataset }}' as dataset,
        count(*) as rows_staged,
        coalesce(sum({{ one_if("row_state = 'current'") }}), 0) as rows_current,
        coalesce(sum({{ one_if("row_state = 'superseded'") }}), 0) as rows_superseded,
        coalesce(sum({{ one_if("row_state = 'deleted'") }}), 0) as rows_deleted
    from {{ ref('stg_' ~ dataset) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select
    states.dataset,
    cast(coalesce(delivered.rows_in, 0) as bigint) as rows_in,
    cast(coalesce(delivered.rows_loaded, 0) as bigint) as rows_loaded,
    cast(coalesce(delivered.rows_quarantined, 0) as bigint) as rows_quarantined,
    cast(states.rows_staged as bigint) as rows_staged,
    cast(states.rows_current as bigint) as rows_current,
    cast(states.rows_superseded as bigint) as rows_superseded,
    cast(states.rows_deleted as bigint) as rows_deleted,
    coalesce(delivered.rows_in, 0) = coalesce(delivered.rows_loaded, 0) + coalesce(delivered.rows_quarantined, 0)
    and coalesce(delivered.rows_loaded, 0) = states.rows_staged
    and states.rows_staged = states.rows_current + states.rows_superseded + states.rows_deleted as is_balanced
from states
left join delivered on states.dataset = delivered.dataset
