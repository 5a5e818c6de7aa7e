-- Grain: unit × month × cut-off month from which the figures hold × area × metric. Additive: a period sums the months
-- it holds over the rows that its cut-off knows (known_month <= last month). All units, ranked or not.
{% for model in ['website', 'media', 'submission', 'platform', 'hotline'] %}
select * from {{ ref(model ~ '_unit_months') }}
{{ 'union all' if not loop.last }}
{% endfor %}
