{{ config(meta={'touched': ['_key', 'staged.new_cms_submissions']}) }}
-- Grain: one delivered good row of cms_submissions; its state says whether it is the current one of its key.
{{ upsert_states(delivered_rows('cms_submissions')) }}
