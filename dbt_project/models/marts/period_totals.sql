-- Grain: released period × area × figure, of the period's newest revision.
-- depends_on: {{ ref('period_totals_revisions') }} {{ ref('newest_releases') }}
{{ newest_revisions('period_totals_revisions') }}
