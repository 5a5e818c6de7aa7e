"""The documents of a release (通报、网页): written beside it, after it, so that they can be written again.

``published/documents/<n>/<kind>/`` belongs to release ``n``; ``<n>`` is a link to a folder that is complete, and
``documents/current`` a link to the ``<n>`` of the served release. A reader sees the old documents or the new ones,
never half of them; a killed writer leaves a folder with a leading dot that the next one removes.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path

from ingestion.durable import naming_storage_faults
from ingestion.errors import BadParameter
from ingestion.home import Home
from publishing import releases
from publishing.durable import exclusive, fsync_path, fsync_tree, link_or_copy, swap_link


def documents_folder(home: Home) -> Path:
    """Where the documents of every release lie."""
    return home.published / "documents"


@naming_storage_faults("documents")
def write_documents(home: Home, *, periods: Iterable[str] | None = None, template: Path | None = None) -> Path:
    """Writes the documents of the served release and returns their folder, ``documents/<n>``.

    ``periods``: write only their notices anew and keep the other documents as they are. ``template``: a wording of the
    office's own. Raises BadParameter where nothing is published, a period is not released, or the template is faulty;
    then the documents are as they were.
    """
    root = documents_folder(home)
    with exclusive(root, "the documents"):
        release = releases.served(home)
        if release is None:
            raise BadParameter("nothing is published yet, so there is nothing to write about")
        _clean(home, root)
        link = root / str(release.number)
        folder = root / f".{release.number}-{uuid.uuid4().hex[:12]}"
        try:
            _fill(home, release, link, folder, periods, template)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        fsync_tree(folder)
        fsync_path(root)
        swap_link(link, folder.name)
        swap_link(root / "current", str(release.number))
        _clean(home, root)
    return link


@naming_storage_faults("documents")
def serve_documents(home: Home) -> bool:
    """After a step back: ``documents/current`` links to those of the served release, or to none if it has none yet.

    Returns whether it has any.
    """
    root = documents_folder(home)
    with exclusive(root, "the documents"):
        number = releases.served_number(home)
        if there := number is not None and (root / str(number)).exists():
            swap_link(root / "current", str(number))
        else:
            (root / "current").unlink(missing_ok=True)
        return there


def _fill(
    home: Home,
    release: releases.Release,
    link: Path,
    folder: Path,
    periods: Iterable[str] | None,
    template: Path | None,
) -> None:
    """Writes the documents into a folder that nobody reads yet."""
    from publishing.notice import write_notices
    from publishing.page import write_page

    if periods is not None and link.exists():
        # Files are replaced below, never written into.
        shutil.copytree(link.resolve(), folder, copy_function=link_or_copy)
        again = folder / ".again"
        write_notices(home, release, again, periods=periods, template=template)
        for file in again.iterdir():
            file.replace(folder / "notice" / file.name)
        again.rmdir()
        return
    write_notices(home, release, folder / "notice", periods=periods, template=template)
    write_page(home, release, folder / "page")


def _clean(home: Home, root: Path) -> None:
    """Removes the documents of releases that are gone, and folders that no link points at."""
    kept = {str(number) for number in releases.numbers(home)}
    for entry in root.iterdir():
        if entry.is_symlink() and entry.name.isdigit() and entry.name not in kept:
            entry.unlink()
    used = {entry.readlink().name for entry in root.iterdir() if entry.is_symlink()}
    for entry in root.iterdir():
        if entry.name.startswith(".") and entry.name not in used:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
