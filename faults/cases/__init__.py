"""The rows of the card, in the order of the table *Inputs*."""

from __future__ import annotations

from faults.cases import (
    api,
    cells,
    cut,
    drop,
    encodings,
    headers,
    names,
    repeats,
    rows,
    structure,
    times,
    volume,
    workbooks,
    workbooks_hostile,
)
from faults.variants import Case

CASES: tuple[Case, ...] = (
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
