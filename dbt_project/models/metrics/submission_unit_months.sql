-- Grain: unit × month × cut-off month from which the figures hold × metric of the areas reform and governance.
-- Rectification reports (整改报告) are in no metric.
with program_areas as (
    select distinct program, area from {{ ref('requirements') }}
),

obligations as (
    select
        unit_code,
        area,
        due_month as month_code,
        due_month as known_month,
        count(*) as obligations,
        sum({{ one_if("outcome = 'on_time'") }}) as met_on_time
    from {{ ref('fct_submission_obligations') }}
    group by unit_code, area, due_month
),

submissions as (
    select
        submissions.unit_code,
        program_areas.area,
        submissions.submitted_month as month_code,
        submissions.submitted_month as known_month,
        sum({{ one_if("submissions.review_status = '采用'") }}) as adopted,
        sum({{ one_if("submissions.review_status in ('采用', '未采用')") }}) as judged,
        sum({{ one_if("submissions.review_status <> '待审' and submissions.return_count > 0") }}) as returned,
        sum({{ one_if("submissions.review_status <> '待审'") }}) as answered
    from {{ ref('fct_submissions') }} as submissions
    inner join program_areas on submissions.program = program_areas.program
    where submissions.material_type <> '整改报告'
    group by submissions.unit_code, program_areas.area, submissions.submitted_month
),

{% for area in ['reform', 'governance'] %}
{{ area }}_obligations as (select * from obligations where area = '{{ area }}'),
{{ area }}_submissions as (select * from submissions where area = '{{ area }}'){{ ',' if not loop.last }}
{% endfor %}

{% for area in ['reform', 'governance'] %}
{{ metric_rows(area ~ '_obligations', area, {'on_time_rate': ['met_on_time', 'obligations']}) }}
union all
{{ metric_rows(area ~ '_submissions', area, {
    'adoption_rate': ['adopted', 'judged'],
    'returned_rate': ['returned', 'answered'],
}) }}
{{ 'union all' if not loop.last }}
{% endfor %}
