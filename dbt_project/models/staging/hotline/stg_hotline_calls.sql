-- Grain: one delivered good row of hotline_calls; its state says whether it is the current one of its key.
{{ upsert_states(source('staged', 'hotline_calls')) }}
