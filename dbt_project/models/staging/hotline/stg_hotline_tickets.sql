{{ config(meta={'touched': ['_key', 'staged.new_hotline_tickets']}) }}
-- Grain: one delivered good row of hotline_tickets; its state says whether it is the current one of its key.
{{ upsert_states(delivered_rows('hotline_tickets')) }}
