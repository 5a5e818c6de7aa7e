{{ config(alias='unit_scores') }}
-- Grain: revision × ranked unit × area (`overall` included). Every revision ever released stays as it was.
-- depends_on: {{ ref('scored_areas') }} {{ ref('new_releases') }}
{{ all_revisions('unit_scores', 'scored_areas') }}
