"""Documents are the same bytes whenever they are written: written again after a kill, nothing differs."""

from __future__ import annotations

import datetime as dt
import zipfile
from pathlib import Path

from publishing.notice.document import write_docx


def test_every_part_of_a_document_is_of_its_releases_moment(tmp_path: Path) -> None:
    made = dt.datetime(2022, 8, 6, 10, 30, 2)  # noqa: DTZ001 - Beijing wall time, as everywhere in the warehouse
    write_docx([], None, tmp_path / "a.docx", "通报", made)  # type: ignore[arg-type]
    with zipfile.ZipFile(tmp_path / "a.docx") as parts:
        assert {part.date_time for part in parts.infolist()} == {made.timetuple()[:6]}
