-- Grain: one dataset × unit name that no alias knew on the day of the row; with the three nearest known names.
with mentions as (
    {% for dataset, model in {
        'platform_cases': 'fct_cases',
        'platform_reviews': 'fct_case_reviews',
        'hotline_dispatches': 'fct_ticket_dispatches',
        'hotline_exclusions': 'fct_ticket_exclusions',
        'cms_posts': 'fct_posts',
        'cms_media_accounts': 'fct_media_account_months',
        'cms_submissions': 'fct_submissions',
    }.items() %}
    select '{{ dataset }}' as dataset, unmapped_name as unit_name, count(*) as rows_unmapped
    from {{ ref(model) }}
    where unmapped_name is not null
    group by unmapped_name
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

names as (
    select distinct names.unit_name, units.unit_name as stands_for
    from {{ ref('unit_names') }} as names
    inner join {{ ref('dim_unit') }} as units on names.unit_code = units.unit_code
),

near as (
    select
        unknown.unit_name,
        names.stands_for,
        row_number() over (
            partition by unknown.unit_name
            order by levenshtein(unknown.unit_name, names.unit_name), names.unit_name
        ) as place
    from (select distinct unit_name from mentions) as unknown
    cross join names
),

nearest as (
    select
        unit_name,
        max(case when place = 1 then stands_for end) as nearest_1,
        max(case when place = 2 then stands_for end) as nearest_2,
        max(case when place = 3 then stands_for end) as nearest_3
    from near
    where place <= 3
    group by unit_name
)

select mentions.dataset, mentions.unit_name, mentions.rows_unmapped, nearest_1, nearest_2, nearest_3
from mentions
left join nearest on mentions.unit_name = nearest.unit_name
