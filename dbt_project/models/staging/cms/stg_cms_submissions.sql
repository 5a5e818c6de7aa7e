-- Grain: one delivered good row of cms_submissions; its state says whether it is the current one of its key.
{{ upsert_states(source('staged', 'cms_submissions')) }}
