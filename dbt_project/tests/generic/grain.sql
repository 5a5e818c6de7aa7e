{# Fails on each combination of the columns that is null or stands more than once: the grain on the model's first line. #}
{% test grain(model, columns) %}
select {{ columns | join(', ') }}, count(*) as times
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1 {% for column in columns %}or {{ column }} is null {% endfor %}
{% endtest %}
