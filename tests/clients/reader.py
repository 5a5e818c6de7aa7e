"""A DuckDB client that asks again and again until it is told to stop; run by the client's own Python, prints one JSON.

``python reader.py KIND FILE STOP``: each answer is asked through a new, locked connection, as docs/bi.md gives it. In
an answer that comes out of one release every figure is the same.
"""

import json
import sys
import time
from pathlib import Path

import duckdb

ANSWER = """
SELECT p.number, min(t.value), max(t.value), min(s.score), max(s.score), max(h.value)
FROM marts.publication p JOIN marts.period_totals t USING (release) JOIN marts.unit_scores s USING (release)
JOIN history.period_totals h USING (release) GROUP BY p.number
"""
LOCKED = {"enable_external_access": "false", "lock_configuration": "true"}


def ask_duckdb(path):
    with duckdb.connect(path, read_only=True, config=LOCKED) as connection:
        return connection.execute(ANSWER).fetchall()


def ask_harlequin(path):
    """What harlequin's own query runs through: its adapter, opened read-only with the page's initialisation script."""
    from harlequin_duckdb import DuckDbAdapter

    script = Path(__file__).resolve().parents[2] / "docs" / "locked.sql"
    connection = DuckDbAdapter(conn_str=(path,), read_only=True, init_path=script).connect()
    try:
        return connection.execute(ANSWER).fetchall().to_pylist()
    finally:
        connection.conn.close()


def ask_notebook(path):
    """The sample notebook, run as Jupyter runs it, in a kernel of its own; its last cell gives the figures."""
    import os

    import nbclient
    import nbformat

    os.environ["TONGBAO_WAREHOUSE"] = path
    sample = Path(__file__).resolve().parents[2] / "docs" / "samples" / "marts.ipynb"
    notebook = nbformat.read(sample, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(f"print(warehouse.sql('''{ANSWER}''').fetchall())"))
    done = nbclient.NotebookClient(notebook, timeout=300).execute()
    return eval(done.cells[-1].outputs[0].text)  # noqa: S307 printed by the line above


ASK = {"duckdb": ask_duckdb, "harlequin": ask_harlequin, "notebook": ask_notebook}


def main(kind, path, stop):
    answers, mixed, errors, seen = 0, 0, [], set()
    while True:
        last = Path(stop).exists()
        try:
            found = [tuple(row.values()) if isinstance(row, dict) else tuple(row) for row in ASK[kind](path)]
        except Exception as error:
            errors.append(f"{type(error).__name__}: {str(error)[:300]}")
        else:
            answers += 1
            whole = len(found) == 1 and len(set(found[0])) == 1
            mixed += not whole
            seen |= {int(value) for row in found for value in row}
        if last or len(errors) > 20:
            break
        time.sleep(0.005)
    version = duckdb.__version__
    print(json.dumps({"answers": answers, "mixed": mixed, "errors": errors, "seen": sorted(seen), "version": version}))


if __name__ == "__main__":
    main(*sys.argv[1:])
