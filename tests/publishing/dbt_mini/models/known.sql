select
    (select count(*) from {{ ref('cases') }}) as cases,
    (select count(*) from {{ ref('names') }}) as names,
    (select count(*) from staged.cms_posts) as posts,
    (select count(*) from previous.unit_scores) as scores
