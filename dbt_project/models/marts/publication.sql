-- Grain: released period: which revision the publication serves, for every dashboard to show beside its figures.
select
    run.number,
    newest.period_code,
    newest.release,
    newest.revision,
    newest.cut_off,
    newest.rule_set,
    newest.released_at
from {{ ref('newest_releases') }} as newest
cross join {{ source('staged', 'run') }} as run
