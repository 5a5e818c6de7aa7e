{{ config(meta={'kept': 'periods', 'touched': ['period_code', 'scoring.new_releases']}) }}
-- Grain: released period × area × ranked unit, of the period's newest revision.
-- depends_on: {{ ref('unit_rankings_revisions') }} {{ ref('newest_releases') }} {{ ref('new_releases') }}
{{ newest_revisions('unit_rankings_revisions') }}
