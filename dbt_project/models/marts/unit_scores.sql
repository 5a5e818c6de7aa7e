{{ config(meta={'kept': 'periods', 'touched': ['period_code', 'scoring.new_releases']}) }}
-- Grain: released period × ranked unit × area (`overall` included), of the period's newest revision.
-- depends_on: {{ ref('unit_scores_revisions') }} {{ ref('newest_releases') }} {{ ref('new_releases') }}
{{ newest_revisions('unit_scores_revisions') }}
