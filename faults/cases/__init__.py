"""The rows of the card: damaged inputs, then the faults of operation."""

from __future__ import annotations

from faults.cases import (
    api,
    cells,
    clocks,
    crash,
    cut,
    drop,
    encodings,
    headers,
    limits,
    mirror,
    names,
    operations,
    repeats,
    rows,
    side_by_side,
    structure,
    times,
    upkeep,
    volume,
    workbooks,
    workbooks_hostile,
)
from faults.variants import Case

INPUTS: tuple[Case, ...] = (
    Case("damaged_row", "a delimiter too many or missing, a stray quote, another delimiter in one row", rows.damaged),
    Case("structure", "header rows, two tables, empty, unclosed quote, wrong header", structure.variants),
    Case("header", "header reordered, column added, column missing", headers.variants),
    Case("encoding", "UTF-8, BOM, GB18030, GBK, UTF-16 and what is none of them", encodings.variants),
    Case("cut", "file cut at any byte", cut.variants),
    Case("manifest", "manifest that misses or contradicts a file", cut.manifests),
    Case("odd_cells", "control characters, zero-width, emoji, 1 MB cells, CR inside quotes", cells.odd),
    Case("workbook_layout", "XLSX: dimension, merged, hidden, 1904, formulas, sheets", workbooks.layouts),
    Case("excel_numbers", "keys, ids and phones that Excel stored as numbers", cells.numbers),
    Case("unreadable_workbook", "truncated, encrypted, macros, HTML named .xls", workbooks.unreadable),
    Case("hostile_workbook", "zip bomb, entity bomb, XXE, fuzzed workbooks", workbooks_hostile.variants),
    Case("api", "API: pages that drift, tokens, login pages, 429/503, cut bodies, drips, gzip bomb", api.variants),
    Case("sftp", "SFTP: transfers cut or short, silence, files still growing or uploading", drop.variants),
    Case(
        "repeats",
        "files and rows twice, copies, months out of order, late rows, corrections, deletions",
        repeats.variants,
    ),
    Case("volume", "zero rows, -60 %, threefold, a unit missing, a column all default, a new code", volume.variants),
    Case("times", "31st, leap day, 24:00, two formats, future", times.variants),
    Case("file_names", "file names with brackets, paths, quotes, 300 characters, case twins", names.files),
    Case("parameters", "parameters with SQL, Jinja or shell in them", names.parameters),
)

OPERATION: tuple[Case, ...] = (
    Case("worker_killed", "a worker killed under the real scheduler", side_by_side.workers),
    Case("readers", "readers open through 100 publications", side_by_side.readers),
    Case("backfill", "a backfill of 12 months beside the monthly run", side_by_side.backfills),
    Case("task_boundary", "kill -9 at every task boundary of the whole project", operations.boundaries),
    Case("task_twice", "every task run twice", operations.twice),
    Case("same_period_twice", "the same period by two runs at once", operations.at_once),
    Case("clock", "the clock back, forward and across midnight", clocks.variants),
    Case("rollback", "back to the last release, forward, and a run after it", operations.rollbacks),
    Case("rebuild", "rebuilt from the landed files alone", operations.rebuilds),
    Case("failing_audit", "one failing audit among many", operations.audits),
    Case("kill", "kill -9 at every n-th write, rename, fsync, creation and removal of every task", crash.kills),
    Case("torn_write", "kill -9 half-way through every n-th write", crash.torn_writes),
    Case("disk_full", "no room from every n-th write on", crash.disk_full),
    Case("disk_error", "an I/O error at every n-th write and fsync", crash.disk_errors),
    Case("erasure", "the erasure of a person cut at every n-th change", upkeep.erasures),
    Case("rotation", "a key rotation cut at every n-th change", upkeep.rotations),
    Case("retention", "the removal of expired files cut at every n-th change", upkeep.retentions),
    Case("step_back", "a step back cut at every change", upkeep.steps_back),
    Case("documents", "notice and page written anew, cut at every n-th change", upkeep.documents),
    Case("mirror", "the mirror cut after every n-th statement, by client, connection and server", mirror.variants),
    Case("small_disk", "a disk of 64 MB", limits.small_disks),
    Case("read_only", "folders that may not be written", limits.read_only),
    Case("limits", "limits of memory, open files and file size", limits.limits),
    Case("flipped_byte", "a flipped byte in a landed file, a staged Parquet, the warehouse, a release", limits.flips),
)

CASES: tuple[Case, ...] = (*INPUTS, *OPERATION)
#: Rows that are run by themselves, in children of a process that holds no library's threads.
IN_CHILDREN = frozenset(case.name for case in OPERATION)
