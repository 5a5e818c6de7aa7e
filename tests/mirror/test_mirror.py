"""The mirror against a real PostgreSQL server: complete, keyed and described; switched at once; readable only."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import duckdb
import psycopg
import pytest
from click.testing import CliRunner

from ingestion.errors import BadParameter
from ingestion.home import Home
from publishing.cli import main
from publishing.mirror import Mirrored, mirror, switch
from publishing.mirror.run import MirrorFailed, MirrorUnavailable
from tests.mirror.releases import go_to, serve, serve_next

#: One answer out of three views and two schemas; in a whole release every figure is the release's number.
ANSWER = """
SELECT p.number, min(t.value), max(t.value), min(s.score), max(s.score), max(h.value)
FROM marts.publication p JOIN marts.period_totals t USING (release) JOIN marts.unit_scores s USING (release)
JOIN history.period_totals h USING (release) GROUP BY p.number
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def ask(database: str, query: str, user: str = "postgres") -> list[tuple]:
    with psycopg.connect(database, user=user, autocommit=True) as connection:
        return connection.execute(query).fetchall()


def whole(answer: list[tuple]) -> bool:
    """Whether an answer to ANSWER comes out of one release alone."""
    return len(answer) == 1 and len(set(answer[0])) == 1


def test_every_row_key_and_description_arrives(home: Home, database: str) -> None:
    odd = "E'a,\"b\"\\n\\\\N \\\\. 精河''县' || chr(0)"
    serve(
        home,
        1,
        f"UPDATE audit.quarantine SET reason = CASE row WHEN 3 THEN '' ELSE {odd} END",
        "ALTER TABLE core.dim_area ADD COLUMN n DECIMAL(9, 2)",
        "UPDATE core.dim_area SET n = 1.25 WHERE area = 'website'",
    )
    assert mirror(home, database) == Mirrored(1, True)
    with duckdb.connect(str(home.current / "warehouse.duckdb"), read_only=True) as source:
        tables = source.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
        for schema, table in tables:
            there = source.execute(f"FROM {schema}.{table}").fetchall()
            here = ask(database, f"SELECT * FROM {schema}.{table}")
            expected = [tuple(v.replace("\0", "") if isinstance(v, str) else v for v in row) for row in there]
            assert sorted(map(repr, here)) == sorted(map(repr, expected)), (schema, table)
    assert len(tables) > 10
    assert ask(database, "SELECT reason FROM audit.quarantine WHERE row = 3") == [("",)]
    keys = dict(
        ask(
            database,
            "SELECT c.conrelid::regclass::text, pg_get_constraintdef(c.oid) FROM pg_constraint c WHERE contype = 'p'",
        )
    )
    assert keys["release_1.marts__unit_rankings"] == "PRIMARY KEY (period_code, unit_code, area)"
    assert keys["release_1.history__unit_scores"] == "PRIMARY KEY (release, unit_code, area)"
    assert ask(database, "SELECT count(*) FROM pg_indexes WHERE tablename = 'marts__unit_rankings'")[0][0] == 2
    described = "SELECT obj_description('{0}'::regclass), col_description('{0}'::regclass, 7)"
    wanted = [("Places in each group and area (排名).", "名次 competition ranking")]
    assert ask(database, described.format("marts.unit_rankings")) == wanted
    assert ask(database, described.format("release_1.marts__unit_rankings")) == wanted


def test_again_back_forward_and_the_old_ones_go(home: Home, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAO_MIRROR_KEPT", "2")
    for number in (1, 2, 3):
        serve(home, number)
        assert mirror(home, database) == Mirrored(number, True)
        assert mirror(home, database) == Mirrored(number, False)
        assert ask(database, ANSWER)[0][0] == number
    schemas = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'release%' ORDER BY 1"
    assert ask(database, schemas) == [("release_2",), ("release_3",)]
    go_to(home, 2)
    assert mirror(home, database) == Mirrored(2, False)
    assert whole(ask(database, ANSWER)) and ask(database, ANSWER)[0][0] == 2
    go_to(home, 1)  # dropped here, still on the shelf
    assert mirror(home, database) == Mirrored(1, True)
    assert ask(database, ANSWER)[0][0] == 1


def test_a_home_set_up_anew_takes_the_numbers_over_without_a_gap(
    home: Home, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(home, 1)
    mirror(home, database)
    anew = Home(tmp_path / "anew")
    serve(anew, 1, "UPDATE marts.releases SET reason = 'anew'")
    seen = []
    turn = switch.switch

    def looked_at_before(connection: psycopg.Connection, number: int, reader: str) -> None:
        # Loaded, not switched yet: another connection still has the old release, whole.
        seen.append((whole(ask(database, ANSWER)), ask(database, "SELECT reason FROM marts.releases")))
        turn(connection, number, reader)

    monkeypatch.setattr(switch, "switch", looked_at_before)
    assert mirror(anew, database) == Mirrored(1, True)
    assert seen == [(True, [("更正",)])]
    assert ask(database, "SELECT reason FROM marts.releases") == [("anew",)]
    assert ask(database, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'release%'") == [("release_1",)]


def test_another_shape_of_a_table_is_another_view(home: Home, database: str) -> None:
    serve(home, 1, "CREATE TABLE marts.gone AS SELECT 1 AS a")
    mirror(home, database)
    serve(home, 2, "ALTER TABLE marts.unit_scores DROP COLUMN coverage", "CREATE TABLE marts.come AS SELECT 1 AS a")
    mirror(home, database)
    names = "SELECT table_name FROM information_schema.views WHERE table_schema = 'marts'"
    assert {"come"} <= {name for (name,) in ask(database, names, "tongbao_reader")} and whole(ask(database, ANSWER))
    assert "gone" not in {name for (name,) in ask(database, names)}
    with pytest.raises(psycopg.errors.UndefinedColumn):
        ask(database, "SELECT coverage FROM marts.unit_scores")
    assert ask(database, "SELECT count(score) FROM marts.unit_scores", "tongbao_reader") > [(0,)]


def test_readers_through_thirty_publications(home: Home, database: str) -> None:
    serve(home, 1)
    mirror(home, database)
    answers, errors, stop = [0, 0], [], threading.Event()

    def read() -> None:
        with psycopg.connect(database, user="tongbao_reader", autocommit=True) as connection:
            while not stop.is_set():
                try:
                    answer = connection.execute(ANSWER).fetchall()
                except psycopg.Error as error:
                    errors.append(str(error))
                else:
                    answers[0] += 1
                    answers[1] += not whole(answer)
                time.sleep(0.002)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for number in range(2, 32):
            serve_next(home, number)
            mirror(home, database)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    print(f"{answers[0]} answers, {answers[1]} mixed, {len(errors)} errors")
    assert (answers[1], errors) == (0, [])
    assert answers[0] > 300
    assert ask(database, ANSWER)[0][0] == 31


def test_views_switched_one_by_one_would_be_seen_as_a_mix(home: Home, database: str) -> None:
    serve(home, 1)
    mirror(home, database)
    serve(home, 2)
    mirror(home, database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE OR REPLACE VIEW marts.publication AS SELECT 1 AS number, period_code, release, revision, cut_off, "
            "rule_set, released_at FROM release_2.marts__publication"
        )
    assert not whole(ask(database, ANSWER))


def test_a_long_query_is_waited_for_and_never_broken(
    home: Home, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(home, 1)
    mirror(home, database)
    serve(home, 2)
    monkeypatch.setattr(switch, "SWITCH_SECONDS", 1.0)
    with psycopg.connect(database, user="tongbao_reader") as report:
        assert whole(report.execute(ANSWER).fetchall())
        with pytest.raises(MirrorUnavailable):
            mirror(home, database)
        # Others are not held up, and the report goes on in its release.
        assert ask(database, ANSWER)[0][0] == 1
        assert report.execute(ANSWER).fetchall()[0][0] == 1
    assert mirror(home, database) == Mirrored(2, False)
    assert ask(database, ANSWER)[0][0] == 2


def test_a_load_that_fails_half_way_leaves_nothing(home: Home, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(home, 1)
    mirror(home, database)
    serve(home, 2, "ALTER TABLE marts.unit_scores ADD COLUMN parts VARCHAR[]")
    with pytest.raises(BadParameter, match=r"marts\.unit_scores\.parts is VARCHAR\[\]"):
        mirror(home, database)
    assert ask(database, "SELECT nspname FROM pg_namespace WHERE nspname = 'release_2'") == []
    assert ask(database, ANSWER)[0][0] == 1
    # A key that does not hold is refused without quoting the row.
    serve(home, 3, "INSERT INTO marts.unit_scores FROM marts.unit_scores")
    with pytest.raises(MirrorFailed, match="unique") as caught:
        mirror(home, database)
    assert "U01" not in str(caught.value) and ask(database, ANSWER)[0][0] == 1


FORBIDDEN = {
    "write": "SET default_transaction_read_only = off; INSERT INTO marts.period_totals DEFAULT VALUES",
    "change": "SET default_transaction_read_only = off; UPDATE marts.unit_scores SET score = 100",
    "delete": "SET default_transaction_read_only = off; DELETE FROM marts.releases",
    "create": "SET default_transaction_read_only = off; CREATE TABLE marts.mine (a int)",
    "create in public": "SET default_transaction_read_only = off; CREATE TABLE public.mine (a int)",
    "create for itself": "SET default_transaction_read_only = off; CREATE SCHEMA mine",
    "temporary table": "SET default_transaction_read_only = off; CREATE TEMPORARY TABLE mine (a int)",
    "large object": "SET default_transaction_read_only = off; SELECT lo_from_bytea(0, 'x')",
    "run a program": "COPY (SELECT 1) TO PROGRAM 'id'",
    "run a program for rows": "SET default_transaction_read_only = off; COPY marts.releases FROM PROGRAM 'id'",
    "write a file": "COPY marts.releases TO '/tmp/tongbao-out.csv'",
    "read a file": "SELECT pg_read_file('/etc/passwd')",
    "read a binary file": "SELECT pg_read_binary_file('/etc/passwd')",
    "list a folder": "SELECT pg_ls_dir('/etc')",
    "import a file": "SET default_transaction_read_only = off; SELECT lo_import('/etc/passwd')",
    "load an extension": "SET default_transaction_read_only = off; CREATE EXTENSION file_fdw",
    "another role": "SET ROLE postgres",
    "the tables themselves": "SELECT * FROM release_1.marts__releases",
    "the mirror's notes": "SELECT * FROM tongbao_mirror.releases",
    "passwords": "SELECT * FROM pg_authid",
}


def test_the_readers_role_can_only_read(home: Home, database: str) -> None:
    serve(home, 1)
    mirror(home, database)
    for schema in ("core", "marts", "history", "audit"):
        views = ask(database, f"SELECT viewname FROM pg_views WHERE schemaname = '{schema}'")
        assert views and all(ask(database, f"SELECT * FROM {schema}.{view}", "tongbao_reader") for (view,) in views)
    allowed = []
    for what, statement in FORBIDDEN.items():
        with psycopg.connect(database, user="tongbao_reader", autocommit=True) as connection:
            try:
                for part in statement.split("; "):
                    connection.execute(part)
            except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction):
                continue
            except psycopg.errors.ObjectNotInPrerequisiteState as error:
                assert "cannot insert into view" in str(error) or "cannot" in str(error)
                continue
            allowed.append(what)
    assert allowed == []
    # What the list is worth: for the owner most of it works.
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("CREATE TEMPORARY TABLE mine (a int)")
        assert owner.execute("SELECT pg_read_file('/etc/hostname')").fetchall()


def test_by_command_with_one_setting(home: Home, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGBAO_HOME", str(home.root))
    without = CliRunner().invoke(main, ["mirror"])
    assert without.exit_code == 1 and "TONGBAO_POSTGRES" in without.output
    monkeypatch.setenv("TONGBAO_POSTGRES", database)
    nothing = CliRunner().invoke(main, ["mirror"])
    assert nothing.exit_code == 1 and "nothing is published" in nothing.output
    serve(home, 1)
    assert "the mirror shows release 1" in CliRunner().invoke(main, ["mirror"]).output
    assert "held it already" in CliRunner().invoke(main, ["mirror"]).output
    assert ask(database, ANSWER)[0][0] == 1


def test_an_absent_server_is_transient_and_keeps_the_password_to_itself(home: Home) -> None:
    serve(home, 1)
    started = time.monotonic()
    with pytest.raises(MirrorUnavailable) as caught:
        mirror(home, "postgresql://loader:s3cret@127.0.0.1:1/warehouse")
    assert "s3cret" not in str(caught.value) and time.monotonic() - started < 60
