-- Grain: one delivered good row of hotline_exclusions; its state says whether it is the current one of its key.
-- The unit in the key is the resolved unit: on the day of the request, or of 更新时间 where a deletion has none.
with resolved as (
    select
        delivered.*,
        {{ unit_code('unit') }} as unit_code,
        {{ unit_key('unit', 'delivered.unit_name') }} as unit_key,
        delivered.ticket_no || '|' || {{ unit_key('unit', 'delivered.unit_name') }} as resolved_key
    from {{ source('staged', 'hotline_exclusions') }} as delivered
    {{ join_unit(
        'unit', 'delivered.unit_name', 'cast(coalesce(delivered.requested_at, delivered.updated_at) as date)'
    ) }}
)

{{ upsert_states('resolved', 'resolved_key') }}
