"""Writes the calendar seed from the chinesecalendar library: the State Council's days off and make-up days.

``python -m ops.calendar_seed`` after an update of the library; a test holds the two together.
"""

from __future__ import annotations

import csv
from pathlib import Path

from chinese_calendar.constants import holidays, workdays

SEED = Path(__file__).resolve().parent.parent / "dbt_project" / "seeds" / "holidays.csv"


def rows() -> list[tuple[str, str, str]]:
    """(day, is_workday, name of the holiday), one row per day that the State Council moved, ordered by day."""
    days = {day: ("false", name) for day, name in holidays.items()} | {
        day: ("true", name) for day, name in workdays.items()
    }
    return [(day.isoformat(), *days[day]) for day in sorted(days)]


def main() -> None:
    with SEED.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("date_day", "is_workday", "note"))
        writer.writerows(rows())


if __name__ == "__main__":
    main()
