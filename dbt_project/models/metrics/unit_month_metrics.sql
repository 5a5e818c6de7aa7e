-- Grain: unit × month × cut-off month from which the figures hold × area × metric. Additive: a period sums the months
-- it holds over the rows that its cut-off knows (known_month <= last month). All units, ranked or not. What has
-- no month, because nobody gave its time, is in no period and not here.
{% for model in ['website', 'media', 'submission', 'platform', 'hotline'] %}
select * from {{ ref(model ~ '_unit_months') }} where month_code is not null
{{ 'union all' if not loop.last }}
{% endfor %}
