{# The unit that the alias table names on a day, both ends inclusive. Use as a left join; `unit_code(alias)` reads it. #}
{% macro join_unit(alias, name, day) -%}
left join {{ ref('unit_names') }} as {{ alias }}
    on {{ alias }}.unit_name = {{ name }}
    and {{ day }} between {{ alias }}.valid_from and {{ alias }}.valid_to
{%- endmacro %}

{# Code of the unit joined as `alias`; a name that the table does not know is UNMAPPED, never guessed. #}
{% macro unit_code(alias) -%}
  coalesce({{ alias }}.unit_code, 'UNMAPPED')
{%- endmacro %}

{# The name as delivered where no alias knows it: listed in audit.unmapped_units so that someone can add the alias. #}
{% macro unmapped_name(alias, name) -%}
  case when {{ alias }}.unit_code is null then {{ name }} end
{%- endmacro %}

{# What tells units apart inside a key: the unit where it is known, else the name as delivered. #}
{% macro unit_key(alias, name) -%}
  coalesce({{ alias }}.unit_code, 'name:' || {{ name }})
{%- endmacro %}
