{{ config(alias='period_totals') }}
-- Grain: revision × area × figure. Every revision ever released stays as it was.
-- depends_on: {{ ref('county_totals') }} {{ ref('new_releases') }}
{{ all_revisions('period_totals', 'county_totals') }}
