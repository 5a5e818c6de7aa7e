{# Time in the models is Beijing wall time without a zone; a month is its code, YYYY-MM. #}

{# Month code of a date or timestamp. #}
{% macro month_code(column) -%}
  substr(cast(cast({{ column }} as date) as string), 1, 7)
{%- endmacro %}

{# Months counted from year 0: the difference of two is how many months lie between them. #}
{% macro month_number(month) -%}
  (12 * cast(substr({{ month }}, 1, 4) as integer) + cast(substr({{ month }}, 6, 2) as integer))
{%- endmacro %}

{# The last second of a day. #}
{% macro end_of_day(day) -%}
  cast(cast({{ day }} as string) || ' 23:59:59' as timestamp)
{%- endmacro %}

{# First month whose cut-off (its last day + 5 days, 23:59:59) is not before the event: from then on the event is known.
   5 is CUT_OFF_DAYS of ingestion/period.py; tests/dbt holds the two together. #}
{% macro known_month(event_at) -%}
  {{ month_code("cast(" ~ event_at ~ " as date) - 5") }}
{%- endmacro %}

{# ISO 8601 week of a date, YYYY-Www: the year and number are those of the week's Thursday. #}
{% macro iso_week(day) -%}
  {%- set thursday = "(cast(date_trunc('week', " ~ day ~ ") as date) + 3)" -%}
  cast(extract(year from {{ thursday }}) as string) || '-W'
  || lpad(cast(cast(floor((extract(doy from {{ thursday }}) - 1) / 7) + 1 as integer) as string), 2, '0')
{%- endmacro %}

{# Sunday that ends the ISO week of a date. #}
{% macro week_end(day) -%}
  (cast(date_trunc('week', {{ day }}) as date) + 6)
{%- endmacro %}

{# A row's figure of a month counts from the first cut-off by which the row itself was known (its known_month). #}
{% macro known_from(month) -%}
  greatest({{ month }}, known_month)
{%- endmacro %}

{# Every day from the first to the one before the last, as a query with the one column date_day. #}
{% macro days_between(first, last) -%}
  {{ return(adapter.dispatch('days_between')(first, last)) }}
{%- endmacro %}

{% macro default__days_between(first, last) -%}
  select cast(unnest(generate_series(date '{{ first }}', date '{{ last }}' - 1, interval '1 day')) as date) as date_day
{%- endmacro %}

{% macro spark__days_between(first, last) -%}
  select explode(sequence(date '{{ first }}', date '{{ last }}' - 1)) as date_day
{%- endmacro %}
