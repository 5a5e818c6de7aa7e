"""Secrets to plant, and the finder that looks for them in everything a county's home holds outside the raw zone."""

from __future__ import annotations

import random
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from ingestion.home import Home
from tests.ingestion.redaction_study import IDS, PHONES, identity, phone, readable

#: Characters that stand in no name and no text of the generated county.
_RARE = "琰玥旻翀骞煊珩璟翯赟"

_CANDIDATE = re.compile(f"[0-9]{{11,}}X?|[赵钱孙李周吴郑王][{_RARE}]{{2}}")


@dataclass
class Secrets:
    """Makes secrets, each used once, and keeps them as they were planted."""

    rng: random.Random
    numbers: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    planted: set[str] = field(default_factory=set)

    def phone(self, spelling: str | None = None) -> str:
        """A phone as it is planted, in this spelling or any."""
        return self._number(phone(self.rng), PHONES, spelling)

    def id(self, spelling: str | None = None, born_before: int = 2010) -> str:
        """A citizen's id as it is planted; ``fifteen digits`` is another number and not taken by chance."""
        made = identity(self.rng)
        while int(made[6:10]) >= born_before or made.endswith("X"):
            made = identity(self.rng)
        return self._number(made, {k: v for k, v in IDS.items() if k != "fifteen digits"}, spelling)

    def name(self) -> str:
        """A person's name of three characters."""
        made = self.rng.choice("赵钱孙李周吴郑王") + "".join(self.rng.sample(_RARE, 2))
        self.names.add(made)
        self.planted.add(made)
        return made

    def _number(self, made: str, spellings: dict, spelling: str | None) -> str:
        self.numbers.add(made)
        spelt = spellings[spelling or self.rng.choice(list(spellings))](made, self.rng)
        self.planted.add(spelt)
        return spelt


class Finder:
    """Looks for secrets: as planted in every encoding of a file, and as somebody reads them who sees through gaps."""

    def __init__(self, secrets: Secrets) -> None:
        self._words = {readable(secret) for secret in secrets.numbers | secrets.names}
        self._lengths = {len(word) for word in self._words}

    def in_text(self, text: str) -> str | None:
        """The first secret that can be read in the text."""
        for run in _CANDIDATE.findall(readable(text)):
            for length in self._lengths:
                for start in range(len(run) - length + 1):
                    if run[start : start + length] in self._words:
                        return str(run[start : start + length])
        return None

    def in_bytes(self, content: bytes) -> str | None:
        """The first secret in these bytes, in any of the encodings."""
        texts = [content.decode("utf-8", "ignore"), content.decode("gb18030", "ignore")]
        texts += [content[start:].decode("utf-16-le", "ignore") for start in (0, 1)]
        texts.append(
            re.sub(rb"\\u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)).encode("utf-8", "ignore"), content).decode(
                "utf-8", "ignore"
            )
        )
        return next((found for text in texts if (found := self.in_text(text))), None)

    def in_home(self, home: Home) -> list[str]:
        """``place: secret`` for everything under the home outside raw/ and keys/; Parquet and DuckDB by columns."""
        found = []
        for path in sorted(home.root.rglob("*")):
            place = path.relative_to(home.root)
            if place.parts[0] in ("raw", "keys") or any(part.is_symlink() for part in (path, *path.parents)):
                continue
            for where, text in [(f"{place} (name)", place.as_posix()), *_texts(path)]:
                hit = self.in_bytes(text) if isinstance(text, bytes) else self.in_text(text)
                if hit:
                    found.append(f"{place} {where}: {hit}")
        return found


def _texts(path: Path) -> Iterator[tuple[str, str | bytes]]:
    """What a file holds, in parts that can be named."""
    if not path.is_file():
        return
    yield "bytes", path.read_bytes()
    if path.suffix == ".parquet":
        table = pq.ParquetFile(path).read()
        yield "metadata", str(table.schema)
        for name in table.column_names:
            yield name, "\n".join(map(str, table[name].unique().to_pylist()))
    elif path.suffix == ".duckdb":
        yield from _tables(path)
    elif zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                yield member, archive.read(member)


def _tables(path: Path) -> Iterator[tuple[str, str]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        columns: Iterable[tuple[str, str, str]] = connection.execute(
            "select table_schema, table_name, column_name from information_schema.columns"
        ).fetchall()
        for schema, table, column in columns:
            (text,) = connection.execute(
                f'select string_agg(distinct "{column}"::varchar, chr(10)) from "{schema}"."{table}"'
            ).fetchone() or (None,)
            yield f"{schema}.{table}.{column}", text or ""
