-- Grain: one delivered good row of platform_reviews; its state says whether it is the current one of its key.
-- Where the build keeps the facts of an earlier one: the rows of the keys that are touched since.
with delivered as (
    select * from {{ source('staged', 'platform_reviews') }}
    where {{ is_touched('_key', 'fct_case_reviews') }}
)

{{ upsert_states('delivered') }}
