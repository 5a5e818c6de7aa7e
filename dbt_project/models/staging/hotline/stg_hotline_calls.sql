{{ config(meta={'touched': ['_key', 'staged.new_hotline_calls']}) }}
-- Grain: one delivered good row of hotline_calls; its state says whether it is the current one of its key.
{{ upsert_states(delivered_rows('hotline_calls')) }}
