"""What BI clients meet: a described file, which release it is, columns as Parquet, a connection that can only read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from ingestion.home import Home
from publishing import publish, rollback
from publishing.cli import main
from tests.publishing.warehouses import hand_made_run

#: docs/bi.md gives these to every client, each in the client's own words.
LOCKED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "lock_configuration": "true",
}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Two publications of one period; the second is served."""
    home = Home(tmp_path_factory.mktemp("bi") / "home")
    for version in (1, 2):
        hand_made_run(home, f"run{version}", ["2022-07"], version=version)
        publish(home, f"run{version}")
    return home


def served(home: Home) -> str:
    return str(home.current / "warehouse.duckdb")


def test_the_publication_names_what_is_served_also_after_a_step_back(published: Home) -> None:
    wanted = "SELECT number, period_code, release, revision, rule_set FROM marts.publication"
    with duckdb.connect(served(published), read_only=True) as connection:
        assert connection.execute(wanted).fetchall() == [(2, "2022-07", "2022-07-r2", 2, "2022.1")]
    rollback(published)
    with duckdb.connect(served(published), read_only=True) as connection:
        assert connection.execute(wanted).fetchall() == [(1, "2022-07", "2022-07-r1", 1, "2022.1")]
    rollback(published, to=2)


def test_the_marts_lie_beside_the_file_as_parquet(published: Home) -> None:
    with duckdb.connect(served(published), read_only=True) as connection:
        tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts'").fetchall()
        for (table,) in tables:
            parquet = pq.read_table(published.current / "parquet" / "marts" / f"{table}.parquet")
            rows = connection.execute(f"FROM marts.{table}")
            assert parquet.column_names == [name for name, *_ in rows.description]
            assert sorted(str(tuple(row.values())) for row in parquet.to_pylist()) == sorted(map(str, rows.fetchall()))
    assert len(tables) == len(list((published.current / "parquet" / "marts").iterdir())) > 4


def test_everything_as_parquet_by_command(published: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAO_HOME", str(published.root))
    folder = tmp_path / "out"
    assert CliRunner().invoke(main, ["parquet", str(folder)]).exit_code == 0
    assert {path.name for path in folder.iterdir()} == {"core", "marts", "history", "audit"}
    assert pq.read_table(folder / "marts" / "publication.parquet")["number"].to_pylist() == [2]
    again = CliRunner().invoke(main, ["parquet", str(folder)])
    assert again.exit_code == 1 and "is not empty" in again.output


FORBIDDEN = {
    "read a file of the host": "SELECT * FROM read_text('{secret}')",
    "read it by its name": "FROM '{secret}'",
    "attach": "ATTACH '{folder}/other.duckdb' AS other",
    "copy out": "COPY (SELECT 1) TO '{folder}/out.csv'",
    "export": "EXPORT DATABASE '{folder}/out'",
    "load an extension": "INSTALL httpfs; LOAD httpfs",
    "unlock": "SET enable_external_access = true",
    "write": "CREATE TABLE marts.mine AS SELECT 1",
    "change": "UPDATE marts.unit_scores SET score = 100",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_locked_connection_can_only_read(published: Home, tmp_path: Path, what: str) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    sql = FORBIDDEN[what].format(secret=tmp_path / "secret.csv", folder=tmp_path)
    with duckdb.connect(served(published), read_only=True, config=LOCKED) as connection:
        assert connection.execute("SELECT count(*) FROM marts.unit_rankings").fetchall() > [(0,)]
        with pytest.raises(duckdb.Error):
            connection.execute(sql)
    assert {path.name for path in tmp_path.iterdir()} == {"secret.csv"}


def test_read_only_alone_is_no_lock(published: Home, tmp_path: Path) -> None:
    """What the lock is for: without it, a client that cannot write the warehouse reads and writes files beside it."""
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with duckdb.connect(served(published), read_only=True) as connection:
        assert connection.execute(f"FROM '{tmp_path}/secret.csv'").fetchall() == [(1,)]
        connection.execute(f"COPY (SELECT 1) TO '{tmp_path}/out.csv'")
    assert (tmp_path / "out.csv").exists()


def test_an_older_client_reads_it_locked(published: Home) -> None:
    """The shell of DuckDB 1.5, another build of the engine than the one that wrote the file."""
    shell = Path(sys.executable).with_name("duckdb")
    lock = "".join(f"SET {name} = {value};" for name, value in LOCKED.items())

    def ask(sql: str) -> subprocess.CompletedProcess[str]:
        command = [str(shell), "-readonly", "-csv", "-noheader", "-cmd", lock, served(published), sql]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert ask("SELECT version()").stdout.startswith("v1.")
    assert ask("SELECT number, release FROM marts.publication").stdout.split() == ["2,2022-07-r2"]
    assert "Permission Error" in ask("SELECT * FROM read_text('/etc/hostname')").stderr
