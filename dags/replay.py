"""Compute and publish named periods again, with a reason."""

from __future__ import annotations

from airflow.sdk import DAG, Param

from dags.common import DEFAULT_ARGS
from dags.ranking import ranking_tasks
from ingestion.personal_numbers import NONE_TYPED

DOC = """
### replay: named periods again, with a reason

Computes and publishes the periods in `periods` (and revisions of published ones that changed). `reason` is kept with
every release it makes. A period that is not complete is not published; the others are, and `confirm` is red and names
what is missing. When red elsewhere: as in `rank_month`.

A trigger whose params hold a phone or an ID number (身份证), or whose periods are none, is refused before it is kept:
what is typed here stands in the scheduler's database.
"""

#: What a period can look like; whether it is one that is ranked, the task says.
MONTH = "[0-9]{4}-(0[1-9]|1[0-2])"
CODE = f"{MONTH}(--{MONTH})?"

with DAG(
    dag_id="replay",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULT_ARGS,
    params={
        "periods": Param(
            type=["string", "array"],
            items={"type": "string", "pattern": f"^{CODE}$"},
            pattern=rf"^\s*{CODE}(\s+{CODE})*\s*$",
            maxLength=1500,
            title="考核期 periods",
            description="2022-07 2022-07--2022-08",
        ),
        "reason": Param(
            type="string",
            minLength=1,
            maxLength=500,
            pattern=NONE_TYPED,
            title="原因 reason",
            description="请勿填写电话、身份证号 without phones and ID numbers",
        ),
    },
    doc_md=DOC,
    tags=["tongbao", "rank"],
):
    ranking_tasks(replay=True)
