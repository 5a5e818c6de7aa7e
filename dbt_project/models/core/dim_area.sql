-- Grain: one rule set × area.
select rule_set, area, area_order, name_zh, weight, volume_metric, minimum_volume, datasets
from {{ ref('areas') }}
