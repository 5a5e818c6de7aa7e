"""``python -m tests.reference_calc EXPORTS PERIODS… [--out DIR] [--pulled-at TIME]``: the tables as CSV."""

from __future__ import annotations

import argparse
import datetime as dt
from pathlib import Path

from tests.reference_calc import calculate


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.reference_calc", description=__doc__)
    parser.add_argument("exports", type=Path, help="folder <system>/<dataset>/<YYYY-MM>/…")
    parser.add_argument("periods", nargs="+", help="2022-07 or 2022-07--2022-08")
    parser.add_argument("--out", type=Path, help="folder for the CSV files; without it the overall ranks are printed")
    parser.add_argument("--pulled-at", type=dt.datetime.fromisoformat, help="Beijing wall time; now if not given")
    given = parser.parse_args()
    result = calculate(given.exports, given.periods, pulled_at=given.pulled_at)
    tables = ["unit_metrics", "unit_scores", "unit_rankings", "period_totals", "quarantine", "refused"]
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        for name in tables:
            getattr(result, name).to_csv(given.out / f"{name}.csv", index=False)
    else:
        ranks = result.unit_rankings
        print(ranks[ranks["area"] == "overall"].sort_values(["period_code", "unit_group", "rank"]).to_string())
    print(f"{len(result.quarantine)} rows quarantined, {len(result.refused)} deliveries refused")


if __name__ == "__main__":
    main()
