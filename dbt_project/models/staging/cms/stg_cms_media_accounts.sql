{{ config(meta={'touched': ['_key', 'staged.new_cms_media_accounts']}) }}
-- Grain: one delivered good row of cms_media_accounts; its state says whether it is the current one of its key.
{{ upsert_states(delivered_rows('cms_media_accounts')) }}
