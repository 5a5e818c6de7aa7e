"""A person out of staged rows whose raw bytes are gone: there are tokens only, so tokens are what is looked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingestion.erasure.person import Person, Replace
from ingestion.personal import PseudonymKey
from ingestion.staging import rewrite


def owned_rows(path: Path, person: Person, key: PseudonymKey) -> int:
    """Rows of the person in a staged file; 0 where it is absent."""
    return int(pc.sum(_owned(path, person, key)).as_py() or 0) if path.is_file() else 0


def staged_without(
    path: Path, person: Person, key: PseudonymKey, surrogate: Replace, seal: Callable[[Path], None]
) -> None:
    """Writes the staged file again with the person's tokens replaced by those of the surrogates, if it holds any."""
    if not owned_rows(path, person, key):
        return
    new = {token: key.token(surrogate(value)) for value, token in _tokens(person, key)}
    pattern = "|".join(map(re.escape, new))

    def changed(cell: str) -> str:
        return re.sub(pattern, lambda match: new[match[0]], cell)

    rewrite(path, key, changed, pattern, seal, _owned(path, person, key))


def _owned(path: Path, person: Person, key: PseudonymKey) -> pa.Array:
    """For each row whether it is the person's."""
    names = set(person.names)
    wanted = [token for value, token in _tokens(person, key) if person.name_alone or value not in names]
    table = pq.ParquetFile(path).read()
    owned = pa.array([False] * table.num_rows, pa.bool_())
    for field in table.schema:
        if wanted and pa.types.is_string(field.type):
            hit = pc.match_substring_regex(table[field.name], "|".join(map(re.escape, wanted)))
            owned = pc.or_(owned, pc.fill_null(hit, False).combine_chunks())
    return owned


def _tokens(person: Person, key: PseudonymKey) -> Iterator[tuple[str, str]]:
    """Each value with the token of each usual spelling: a token is of the cell as it was delivered."""
    for name in person.names:
        yield name, key.token(name)
    for number in person.numbers:
        spellings = [number, number.lower()]
        if len(number) == 11:
            groups = (number[:3], number[3:7], number[7:])
            spellings += [f"+86{number}", f"86{number}", f"+86 {number}", " ".join(groups), "-".join(groups)]
        for spelling in dict.fromkeys(spellings):
            yield number, key.token(spelling)
