{{ config(alias='unit_rankings') }}
-- Grain: revision × area × ranked unit. Every revision ever released stays as it was.
-- depends_on: {{ ref('ranked_units') }} {{ ref('new_releases') }}
{{ all_revisions('unit_rankings', 'ranked_units') }}
