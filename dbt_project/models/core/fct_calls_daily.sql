-- Grain: one day of the hotline's telephone statistics (话务日报).
select
    call_date,
    {{ month_code('call_date') }} as month_code,
    calls_in,
    calls_answered,
    calls_answered_15s,
    updated_at
from {{ ref('stg_hotline_calls') }}
where row_state = 'current'
