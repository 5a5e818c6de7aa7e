"""Where people look for definitions: an exposure of each product that reads the models, complete."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from ingestion.home import PROJECT
from publishing.settings import PUBLISHED_SCHEMAS

MODELS = PROJECT / "dbt_project" / "models"
PUBLISHING = PROJECT / "publishing"

#: Exposure -> the files whose queries it is.
READ_BY = {
    "notice": [*(PUBLISHING / "notice").glob("*.*"), PUBLISHING / "evidence.yaml"],
    "page": [path for path in (PUBLISHING / "page").rglob("*.*") if path.suffix in (".py", ".sql", ".j2", ".html")],
    "report": [PUBLISHING / "report.py", PUBLISHING / "summary.py"],
}


def exposures() -> dict[str, set[str]]:
    declared = yaml.safe_load((MODELS / "_exposures.yml").read_text("utf-8"))["exposures"]
    return {each["name"]: set(each["depends_on"]) for each in declared}


def node(schema: str, table: str) -> str:
    """How dbt names a published table: history's models carry it in their name, the landing's tables are sources."""
    model = f"{table}_revisions" if schema == "history" else table
    return f"ref('{model}')" if list(MODELS.glob(f"*/{model}.sql")) else f"source('{schema}', '{table}')"


def test_each_product_names_the_tables_that_its_queries_read() -> None:
    known = exposures()
    for name, files in READ_BY.items():
        text = "\n".join(path.read_text("utf-8") for path in files)
        read = re.findall(rf"\b({'|'.join(PUBLISHED_SCHEMAS)})\.([a-z_]+)", text)
        assert known[name] == {node(*table) for table in read}, name


def test_the_mirror_names_every_published_table() -> None:
    models = {path for schema in PUBLISHED_SCHEMAS for path in (MODELS / schema).glob("*.sql")}
    sources = yaml.safe_load((MODELS / "staging" / "_sources.yml").read_text("utf-8"))["sources"]
    landed = [table["name"] for source in sources if source["name"] == "audit" for table in source["tables"]]
    wanted = {f"ref('{path.stem}')" for path in models} | {f"source('audit', '{name}')" for name in landed}
    assert exposures()["postgresql_mirror"] == wanted
    assert len(wanted) > 35


def test_every_exposure_has_a_chinese_name_an_owner_and_a_place() -> None:
    for each in yaml.safe_load((MODELS / "_exposures.yml").read_text("utf-8"))["exposures"]:
        assert re.search(r"[\u4e00-\u9fff]", each["label"]) and each["owner"]["name"], each["name"]
        (place,) = re.findall(r"\(([a-z/_]+(?:\.py)?)\)", each["description"])[-1:]
        assert (PROJECT / Path(place)).exists(), place
