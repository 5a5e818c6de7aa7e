"""Files that lie side by side in one local folder, placed by name: which dataset and month each is, a profile says.

For archives and first deliveries that nobody has sorted into ``<system>/<dataset>/<YYYY-MM>/``. Names that no pattern
knows are left alone.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from ingestion.errors import BadParameter, DeliveryMissing, DeliveryRefused, SourceInconsistent, SourceUnavailable
from ingestion.profile import Files
from ingestion.transports.base import Fetched
from ingestion.transports.uri import parse


class SideBySide:
    """A Source over one folder (``file://``)."""

    def __init__(self, uri: str, files: Sequence[Files]) -> None:
        parts = parse(uri)
        if parts.scheme != "file":
            raise BadParameter(f"{parts}: the profile places files by name, which is for local folders (file://)")
        self._folder = Path(parts.path)
        self._files = files

    def describe(self) -> str:
        """The folder."""
        return str(self._folder)

    def months(self, dataset: str) -> list[str]:
        """The months of delivery that the files' names give, sorted."""
        return sorted({month for _, month in self._of(dataset)})

    def fetch(self, dataset: str, month: str, into: Path) -> list[Fetched]:
        """Copies the files of the dataset's month; raises as ``Source.fetch`` says."""
        fetched = []
        for number, path in enumerate(path for path, of in self._of(dataset) if of == month):
            before = path.lstat()
            if not stat.S_ISREG(before.st_mode):
                raise DeliveryRefused(f"{path.name}: not a plain file")
            copy = into / f"file-{number}"
            shutil.copyfile(path, copy)
            if (path.lstat().st_size, path.lstat().st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                raise SourceInconsistent(f"{path.name}: changed while it was read; it may still be growing")
            fetched.append(Fetched(path.name, copy, size=before.st_size))
        if not fetched:
            raise DeliveryMissing(f"{dataset} {month}: no file of that month in {self._folder}")
        return fetched

    def close(self) -> None:
        """Nothing is held."""

    def _of(self, dataset: str) -> list[tuple[Path, str]]:
        """The dataset's files and their months, by name."""
        try:
            paths = sorted(self._folder.iterdir())
        except OSError as error:
            raise SourceUnavailable(f"{self._folder}: cannot be listed ({type(error).__name__})") from None
        patterns = [files for files in self._files if files.dataset == dataset]
        return [(path, month) for path in paths for files in patterns if (month := files.month_of(path.name))]
