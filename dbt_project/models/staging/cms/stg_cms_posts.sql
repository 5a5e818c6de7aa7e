{{ config(meta={'touched': ['_key', 'staged.new_cms_posts']}) }}
-- Grain: one delivered good row of cms_posts; its state says whether it is the current one of its key.
{{ upsert_states(delivered_rows('cms_posts')) }}
