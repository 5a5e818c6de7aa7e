-- Grain: one delivered good row of platform_reviews; its state says whether it is the current one of its key.
{{ upsert_states(source('staged', 'platform_reviews')) }}
