{{ config(alias='unit_metrics') }}
-- Grain: revision × ranked unit × metric. Every revision ever released stays as it was.
-- depends_on: {{ ref('scored_metrics') }} {{ ref('new_releases') }}
{{ all_revisions('unit_metrics', 'scored_metrics') }}
