-- Grain: unit × month × area × veto reason: one row zeroes the unit's month in the area. share: how much of the month,
-- all of it for a unit; a county in its region loses the share of its units (region/warehouse.py lays its own rows).
with vetoes as (
    select distinct unit_code, published_month as month_code, 'website' as area, 'serious_error' as reason
    from {{ ref('fct_posts') }}
    where has_serious_error
    union all
    select distinct unit_code, published_month, 'website', 'backdated'
    from {{ ref('fct_posts') }}
    where is_backdated
    union all
    select distinct unit_code, published_month, 'media', 'serious_error'
    from {{ ref('fct_media_posts') }}
    where serious_error_count > 0
)

select unit_code, month_code, area, reason, cast(1 as double) as share
from vetoes
