-- Grain: released period × ranked unit × area (`overall` included), of the period's newest revision.
-- depends_on: {{ ref('unit_scores_revisions') }} {{ ref('newest_releases') }}
{{ newest_revisions('unit_scores_revisions') }}
