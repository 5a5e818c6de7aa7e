-- Grain: released period × area × ranked unit, of the period's newest revision.
-- depends_on: {{ ref('unit_rankings_revisions') }} {{ ref('newest_releases') }}
{{ newest_revisions('unit_rankings_revisions') }}
