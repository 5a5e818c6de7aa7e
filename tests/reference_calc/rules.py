"""Rule set 2022.1 as the table of METRICS.md prints it."""

from __future__ import annotations

from dataclasses import dataclass

RULE_SET = "2022.1"
AREA_WEIGHTS = {"website": 20, "media": 10, "reform": 15, "governance": 15, "platform": 20, "hotline": 20}
#: Areas counted in full rather than sampled: their scores carry no uncertainty.
CENSUS_AREAS = {"website", "media", "reform", "governance"}
AREA_DATASETS = {
    "website": ("cms_posts",),
    "media": ("cms_media_accounts", "cms_media_posts"),
    "reform": ("cms_submissions",),
    "governance": ("cms_submissions",),
    "platform": ("platform_cases", "platform_reviews"),
    "hotline": ("hotline_tickets", "hotline_dispatches", "hotline_exclusions"),
}
POST_QUOTA = 4
MIN_DISPATCHES, MIN_CASES = 5, 10
MIN_COVERAGE = 0.6
PRIOR = 10
Z = 1.96
#: Program → material type → obligations a week (动态信息) or a month (月小结).
OBLIGATIONS = {
    "放管服": {"动态信息": 2, "月小结": 1},
    "社会管理公共服务组": {"月小结": 1},
    "科技支撑组": {"月小结": 1},
}
PROGRAM_AREA = {"放管服": "reform", "社会管理公共服务组": "governance", "科技支撑组": "governance"}
DUE_DAY_OF_MONTH = 20


@dataclass(frozen=True)
class Metric:
    """One row of the table. ``weight`` None: published, not scored. ``share``: has a Wilson interval."""

    area: str
    name: str
    weight: float | None = None
    target: float = 1.0
    floor: float = 0.0
    shrunk: bool = False
    count: bool = False
    share: bool = True
    empty_reason: str = "no_activity"


_DUE = "nothing_due"

METRICS = (
    Metric("website", "post_quota_rate", 35, 1, 0, empty_reason=_DUE),
    Metric("website", "weekly_update_rate", 30, 1, 0, empty_reason=_DUE),
    Metric("website", "month_end_share", 10, 0.25, 0.75),
    Metric("website", "review_complete_rate", 15, 1, 0.8),
    Metric("website", "review_independent_rate", 5, 1, 0.8),
    Metric("website", "error_free_rate", 5, 1, 0.9),
    Metric("media", "account_active_rate", 100, 1, 0),
    Metric("media", "media_posts", count=True),
    Metric("reform", "on_time_rate", 70, 1, 0.5, empty_reason=_DUE),
    Metric("reform", "adoption_rate", 20, 0.6, 0),
    Metric("reform", "returned_rate", 10, 0, 0.5),
    Metric("governance", "on_time_rate", 70, 1, 0, empty_reason=_DUE),
    Metric("governance", "adoption_rate", 20, 0.6, 0),
    Metric("governance", "returned_rate", 10, 0, 0.5),
    Metric("platform", "case_on_time_rate", 35, 1, 0.9, shrunk=True, empty_reason=_DUE),
    Metric("platform", "online_rate", 15, 0.6, 0.2, shrunk=True),
    Metric("platform", "active_review_rate", 15, 0.5, 0, shrunk=True),
    Metric("platform", "good_review_rate", 20, 0.99, 0.9, shrunk=True),
    Metric("platform", "bad_review_fixed_rate", 15, 1, 0.5, shrunk=True, empty_reason=_DUE),
    Metric("platform", "cases_accepted", count=True),
    Metric("platform", "cases_closed", count=True),
    Metric("platform", "cases_overdue", count=True),
    Metric("platform", "default_review_share"),
    Metric("platform", "mean_working_days", share=False),
    Metric("platform", "speedup_rate", share=False),
    Metric("platform", "void_share"),
    Metric("hotline", "sign_on_time_rate", 15, 0.95, 0.75, shrunk=True, empty_reason=_DUE),
    Metric("hotline", "close_on_time_rate", 25, 0.95, 0.75, shrunk=True, empty_reason=_DUE),
    Metric("hotline", "solved_rate", 25, 0.9, 0.5, shrunk=True),
    Metric("hotline", "satisfied_rate", 25, 0.98, 0.7, shrunk=True),
    Metric("hotline", "rework_rate", 5, 0, 0.2, shrunk=True),
    Metric("hotline", "invalid_return_rate", 5, 0, 0.2, shrunk=True),
    Metric("hotline", "dispatched", count=True),
    Metric("hotline", "repeat_rate"),
    Metric("hotline", "urged_rate"),
    Metric("hotline", "false_report_rate"),
)
