-- Grain: one rule set × area × metric.
select
    rule_set, area, metric, metric_order, name_zh, kind, better, weight, target, floor, is_shrunk, empty_reason,
    lagging_share,
    weight is not null as is_scored
from {{ ref('metrics') }}
