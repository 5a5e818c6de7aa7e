{{ config(meta={'kept': 'periods', 'touched': ['period_code', 'scoring.new_releases']}) }}
-- Grain: released period × area × figure, of the period's newest revision.
-- depends_on: {{ ref('period_totals_revisions') }} {{ ref('newest_releases') }} {{ ref('new_releases') }}
{{ newest_revisions('period_totals_revisions') }}
