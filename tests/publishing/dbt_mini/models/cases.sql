select case_no, accepted_at, _month, _landing_id from staged.platform_cases
