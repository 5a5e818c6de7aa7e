-- The newest version of each case, as staging takes it.
select * from staged.platform_cases
qualify row_number() over (partition by case_no order by updated_at desc, _landing_id desc) = 1
