"""The seeds of a county: the project's, with the files of its own laid over them, in a folder that dbt can read."""

from __future__ import annotations

import csv
import hashlib
import shutil
from pathlib import Path

from ingestion.durable import temporary_beside
from ingestion.errors import BadParameter


def overlaid(base: Path, own: Path | None, store: Path) -> Path:
    """``store/<digest>`` with every CSV of ``base``, those of ``own`` in place of their namesakes.

    The folder is named by what is in it and the same for every build, so that dbt's parse cache stays valid. What a
    build has done to it is undone: dbt writes the SQL of a seed that lies outside its project over the seed itself,
    which is also why such seeds are only ever given to it as a copy. Raises BadParameter on a file of ``own`` that is
    no seed or has other columns.
    """
    files = {path.name: path for path in sorted(base.glob("*.csv"))}
    for path in sorted(own.iterdir()) if own else ():
        if path.name not in files:
            raise BadParameter(f"{path}: no seed has this name; known are {', '.join(files)}")
        _check_columns(path, files[path.name])
        files[path.name] = path
    digest = hashlib.sha256()
    for name, path in files.items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    folder = store / digest.hexdigest()[:16]
    if not folder.is_dir():
        store.mkdir(parents=True, exist_ok=True)
        made = temporary_beside(folder)
        made.mkdir()
        for name, path in files.items():
            shutil.copyfile(path, made / name)
        try:
            made.rename(folder)
        except OSError:
            # Another run was first with the same content.
            shutil.rmtree(made)
            if not folder.is_dir():
                raise
    for name, path in files.items():
        if (folder / name).read_bytes() != path.read_bytes():
            shutil.copyfile(path, store / f".{name}")
            (store / f".{name}").replace(folder / name)
    return folder.resolve()


def _check_columns(path: Path, pattern: Path) -> None:
    wanted, found = _columns(pattern), _columns(path)
    if found != wanted:
        missing, more = [c for c in wanted if c not in found], [c for c in found if c not in wanted]
        told = [f"lacks {', '.join(missing)}"] if missing else []
        told += [f"has unknown {', '.join(more)}"] if more else []
        raise BadParameter(f"{path}: {' and '.join(told) or 'has its columns in another order'}; as in {pattern.name}")


def _columns(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])
