-- Grain: one delivered good row of platform_cases; its state says whether it is the current one of its key.
-- Where the build keeps the facts of an earlier one: the rows of the keys that are touched since.
with delivered as (
    select * from {{ source('staged', 'platform_cases') }}
    where {{ is_touched('_key', 'fct_cases') }}
)

{{ upsert_states('delivered') }}
