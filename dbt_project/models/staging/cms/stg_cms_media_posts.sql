{{ config(meta={'touched': ['_key', 'staged.new_cms_media_posts']}) }}
-- Grain: one delivered good row of cms_media_posts; its state says whether it is the current one of its key.
{{ upsert_states(delivered_rows('cms_media_posts')) }}
