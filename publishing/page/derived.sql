-- What the page shows beyond the columns of the marts, as temporary views over the published file. `shown_periods`
-- (period_code, first_month, last_month) is made before. Every name here can stand in `data-from` of a page.

-- Grain: shown period × unit × area × metric: the unit's figure beside its group's, the target and the floor.
-- group_value takes the group's rows together, as the rule set does where it shrinks.
CREATE TEMP TABLE metric_comparison AS
SELECT metrics.*, units.unit_group, names.name_zh, names.metric_order, names.kind, names.better, names.target, names.floor,
    CASE WHEN names.kind <> 'count' THEN
        sum(metrics.numerator) OVER whole_group::DOUBLE / nullif(sum(metrics.denominator) OVER whole_group, 0)
    END AS group_value
FROM marts.unit_metrics AS metrics
JOIN shown_periods USING (period_code)
JOIN core.dim_unit AS units USING (unit_code)
JOIN core.dim_metric AS names
    ON names.rule_set = metrics.rule_set AND names.area = metrics.area AND names.metric = metrics.metric
WINDOW whole_group AS (PARTITION BY metrics.period_code, units.unit_group, metrics.area, metrics.metric);

-- Grain: released period × unit × area: its place beside the mean score of the units of its group that have one.
CREATE TEMP VIEW area_comparison AS
SELECT *, avg(score) OVER (PARTITION BY period_code, unit_group, area) AS group_score
FROM marts.unit_rankings;

-- Grain: shown period × unit × area × scored metric: what it loses. lost_points are points of the area's score;
-- lost_overall what they are in the overall score; missed the rows (or posts, weeks) that fell short.
CREATE TEMP TABLE metric_losses AS
SELECT parts.period_code, parts.unit_code, parts.area, parts.component AS metric, parts.component_order,
    names.name_zh, names.better, metrics.numerator, metrics.denominator,
    parts.full_part - parts.score_part AS lost_points,
    (parts.full_part - parts.score_part) * overall.full_part / 100 AS lost_overall,
    CASE WHEN names.better = 'high' THEN metrics.denominator - metrics.numerator ELSE metrics.numerator END AS missed,
    lost_points / nullif(missed, 0) AS lost_per_row
FROM marts.rank_explanations AS parts
JOIN shown_periods USING (period_code)
JOIN marts.unit_metrics AS metrics
    ON metrics.period_code = parts.period_code AND metrics.unit_code = parts.unit_code
    AND metrics.area = parts.area AND metrics.metric = parts.component
JOIN core.dim_metric AS names
    ON names.rule_set = parts.rule_set AND names.area = parts.area AND names.metric = parts.component
JOIN marts.rank_explanations AS overall
    ON overall.period_code = parts.period_code AND overall.unit_code = parts.unit_code
    AND overall.area = 'overall' AND overall.component = parts.area
WHERE metrics.value IS NOT NULL AND parts.score_part IS NOT NULL;

-- Grain: shown period × unit × area: the points that this area's score would have to gain, all else unchanged, for the
-- unit to reach the place above it overall. Null where even full marks would not do it.
CREATE TEMP VIEW overall_lifts AS
WITH held AS (
    SELECT overall.*, areas.score AS area_score,
        sum(CASE WHEN areas.score IS NOT NULL THEN overall.weight END)
            OVER (PARTITION BY overall.period_code, overall.unit_code) AS held_weight
    FROM marts.rank_explanations AS overall
    JOIN shown_periods USING (period_code)
    JOIN marts.unit_scores AS areas
        ON areas.period_code = overall.period_code AND areas.unit_code = overall.unit_code
        AND areas.area = overall.component
    WHERE overall.area = 'overall'
)
SELECT period_code, unit_code, component AS area, component_order, area_score, gap_part,
    CASE WHEN area_score + gap * held_weight / weight <= 100 THEN gap * held_weight / weight END AS points_needed
FROM held;

-- Grain: shown period × unit × area × scored metric × row that fell short, by the rules of the metrics' models.
-- row_key is the key of the row in its core table; expected_at what was due, happened_at what came (null: nothing).
CREATE TEMP VIEW every_missed_row AS
WITH cases AS (
    SELECT * FROM core.fct_cases WHERE is_counted
),
first_reviews AS (
    SELECT * FROM core.fct_case_reviews WHERE is_counted AND is_first
),
dispatches AS (
    SELECT *, ticket_no || '-' || dispatch_no AS row_key FROM core.fct_ticket_dispatches WHERE is_counted
),
callbacks AS (
    SELECT tickets.*, answerable.unit_code, answerable.replaced_in_month,
        greatest(tickets.callback_month, answerable.valid_from_month) AS known_month,
        answerable.ticket_no || '-' || answerable.dispatch_no AS row_key
    FROM core.fct_tickets AS tickets JOIN core.fct_ticket_answerable AS answerable USING (ticket_no)
    WHERE tickets.is_counted AND tickets.callback_month IS NOT NULL
),
posts AS (
    SELECT * FROM core.fct_posts WHERE is_published
),
weeks AS (
    SELECT units.unit_code, dates.iso_week, dates.date_day AS week_end, dates.month_code
    FROM core.dim_date AS dates CROSS JOIN core.dim_unit AS units
    WHERE units.ranked AND dates.date_day = dates.week_end
),
updated AS (
    SELECT DISTINCT unit_code, week_end FROM posts
),
program_areas AS (
    SELECT DISTINCT program, area FROM core.fct_submission_obligations
),
submissions AS (
    SELECT * FROM core.fct_submissions JOIN program_areas USING (program) WHERE material_type <> '整改报告'
)
SELECT period_code, unit_code, 'platform' AS area, 'case_on_time_rate' AS metric, case_no AS row_key,
    due_at AS expected_at, closed_at AS happened_at
FROM cases JOIN shown_periods ON due_month BETWEEN first_month AND last_month
WHERE NOT coalesce(closed_at <= due_at, false)
UNION ALL
SELECT period_code, unit_code, 'platform', 'online_rate', case_no, NULL, accepted_at
FROM cases JOIN shown_periods ON accepted_month BETWEEN first_month AND last_month
WHERE NOT coalesce(channel <> '窗口登记', false)
UNION ALL
SELECT period_code, unit_code, 'platform', 'active_review_rate', case_no, NULL, closed_at
FROM cases JOIN shown_periods ON closed_month BETWEEN first_month AND last_month
WHERE NOT EXISTS (
    FROM first_reviews AS reviews
    WHERE reviews.case_no = cases.case_no AND NOT reviews.is_default
        AND strftime(reviews.reviewed_at::DATE - 5, '%Y-%m') <= last_month
)
UNION ALL
SELECT period_code, unit_code, 'platform', 'good_review_rate', review_no, NULL, reviewed_at
FROM first_reviews JOIN shown_periods ON reviewed_month BETWEEN first_month AND last_month
WHERE is_valid AND NOT is_good
UNION ALL
SELECT period_code, unit_code, 'platform', 'bad_review_fixed_rate', review_no, rectify_due_at, rectified_at
FROM first_reviews JOIN shown_periods ON rectify_due_month BETWEEN first_month AND last_month
WHERE is_valid AND NOT is_good AND NOT coalesce(rectified_at <= rectify_due_at, false)
UNION ALL
SELECT period_code, unit_code, 'hotline', 'sign_on_time_rate', row_key, sign_due_at, signed_at
FROM dispatches JOIN shown_periods ON sign_due_month BETWEEN first_month AND last_month
WHERE known_month <= last_month AND NOT coalesce(signed_at <= sign_due_at, false)
UNION ALL
SELECT period_code, unit_code, 'hotline', 'close_on_time_rate', row_key, due_at, replied_at
FROM dispatches JOIN shown_periods ON due_month BETWEEN first_month AND last_month
WHERE known_month <= last_month AND NOT coalesce(replied_at <= due_at, false)
UNION ALL
SELECT period_code, unit_code, 'hotline', 'rework_rate', row_key, NULL, replied_at
FROM dispatches JOIN shown_periods ON replied_month BETWEEN first_month AND last_month
WHERE known_month <= last_month AND redo_count >= 1
UNION ALL
SELECT period_code, unit_code, 'hotline', 'invalid_return_rate', row_key, NULL, returned_at
FROM dispatches JOIN shown_periods ON dispatched_month BETWEEN first_month AND last_month
WHERE strftime(returned_at::DATE - 5, '%Y-%m') <= last_month AND NOT return_upheld
UNION ALL
SELECT period_code, unit_code, 'hotline', 'solved_rate', row_key, NULL, callback_at
FROM callbacks JOIN shown_periods ON callback_month BETWEEN first_month AND last_month
WHERE known_month <= last_month AND (replaced_in_month IS NULL OR replaced_in_month > last_month)
    AND callback_result = '已接通' AND solved <> '解决'
UNION ALL
SELECT period_code, unit_code, 'hotline', 'satisfied_rate', row_key, NULL, callback_at
FROM callbacks JOIN shown_periods ON callback_month BETWEEN first_month AND last_month
WHERE known_month <= last_month AND (replaced_in_month IS NULL OR replaced_in_month > last_month)
    AND satisfaction = '不满意'
UNION ALL
SELECT period_code, unit_code, 'website', 'weekly_update_rate', iso_week, week_end, NULL
FROM weeks JOIN shown_periods ON month_code BETWEEN first_month AND last_month
ANTI JOIN updated USING (unit_code, week_end)
UNION ALL
SELECT period_code, unit_code, 'website', 'month_end_share', post_no, NULL, published_at
FROM posts JOIN shown_periods ON published_month BETWEEN first_month AND last_month
WHERE published_on > last_day(published_on) - 5
UNION ALL
SELECT period_code, unit_code, 'website', 'review_complete_rate', post_no, NULL, published_at
FROM posts JOIN shown_periods ON published_month BETWEEN first_month AND last_month
WHERE NOT is_review_complete
UNION ALL
SELECT period_code, unit_code, 'website', 'review_independent_rate', post_no, NULL, published_at
FROM posts JOIN shown_periods ON published_month BETWEEN first_month AND last_month
WHERE NOT is_review_independent
UNION ALL
SELECT period_code, unit_code, 'website', 'error_free_rate', post_no, NULL, published_at
FROM posts JOIN shown_periods ON published_month BETWEEN first_month AND last_month
WHERE typo_count > 0
UNION ALL
SELECT period_code, unit_code, 'media', 'account_active_rate', month_code || ' ' || platform || ' ' || account_name, NULL, NULL
FROM core.fct_media_account_months JOIN shown_periods ON month_code BETWEEN first_month AND last_month
WHERE is_open_whole_month AND is_silent
UNION ALL
SELECT period_code, unit_code, area, 'on_time_rate',
    program || ' ' || material_type || ' ' || obligation_period || ' 第' || slot || '件', due_at, submitted_at
FROM core.fct_submission_obligations JOIN shown_periods ON due_month BETWEEN first_month AND last_month
WHERE outcome <> 'on_time'
UNION ALL
SELECT period_code, unit_code, area, 'adoption_rate', submission_no, NULL, submitted_at
FROM submissions JOIN shown_periods ON submitted_month BETWEEN first_month AND last_month
WHERE review_status = '未采用'
UNION ALL
SELECT period_code, unit_code, area, 'returned_rate', submission_no, NULL, submitted_at
FROM submissions JOIN shown_periods ON submitted_month BETWEEN first_month AND last_month
WHERE review_status <> '待审' AND return_count > 0;

-- Grain: shown period × dataset: what its months delivered (audit.deliveries, accepted files).
CREATE TEMP VIEW dataset_deliveries AS
SELECT dataset, month, count(*) AS files, sum(rows_in)::BIGINT AS rows_in, sum(rows_loaded)::BIGINT AS rows_loaded,
    sum(rows_quarantined)::BIGINT AS rows_quarantined
FROM audit.deliveries WHERE outcome = 'accepted'
GROUP BY ALL;

-- Grain: dataset × reason: rows set aside.
CREATE TEMP VIEW quarantine_reasons AS
SELECT dataset, reason, count(*) AS rows_quarantined FROM audit.quarantine GROUP BY ALL;

-- Grain: failed attempt: a delivery that is no part of the data, with the reason that was given.
CREATE TEMP VIEW refused_deliveries AS
SELECT dataset, month, file, attempt_id, outcome, reason, pulled_at
FROM audit.deliveries WHERE outcome IN ('refused', 'failed');
