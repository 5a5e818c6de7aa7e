-- Grain: released period × ranked unit × metric, of the period's newest revision.
-- depends_on: {{ ref('unit_metrics_revisions') }} {{ ref('newest_releases') }}
{{ newest_revisions('unit_metrics_revisions') }}
