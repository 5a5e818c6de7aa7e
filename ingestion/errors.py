"""What can go wrong, as types: whether to retry or to stop is the exception's class, never a guess from its text.

Messages name the file, line, column, period or dataset concerned and what to do; they never hold a value of a row.
"""

import traceback
from pathlib import Path

from ingestion.personal_numbers import masked


class TongbaoError(Exception):
    """Root of every error this project raises on purpose.

    Phones and citizens' ids are masked in the message: a file's name, a header or a parameter that it quotes may hold
    one, and messages go into logs, the ledger and the scheduler's database.
    """

    def __init__(self, *arguments: object) -> None:
        super().__init__(*(masked(each) if isinstance(each, str) else each for each in arguments))


class Transient(TongbaoError):
    """May improve by itself (a server that is down, a file still growing): a DAG retries it."""


class Permanent(TongbaoError):
    """Will be the same next time (a damaged file, a wrong parameter): a DAG stops at once."""


class Unforeseen(Permanent):
    """An error that no part of the project raises on purpose: a fault of the code, or of a library."""


def without_text(error: Exception) -> TongbaoError:
    """What may be said of an error nobody foresaw: its type and place, never its text.

    The text of a parser's or an engine's error can hold a row. A system call that failed becomes Transient.
    """
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames[-6:]))
    told = f"{type(error).__name__} at {places} (its text is withheld: it could hold a row)"
    return Transient(told) if isinstance(error, OSError) else Unforeseen(told)


class StorageFailed(Transient):
    """The place where the state lies took no more: a full or failing disk, a folder that may not be written, a limit of
    the process. What was there before is untouched; the same run again is right once there is room."""


class SourceUnavailable(Transient):
    """A source system did not answer within the deadline, or answered with an error of its own."""


class SourceInconsistent(Transient):
    """A source answered with something that contradicts itself (pages that drift, a body cut short)."""


class DeliveryMissing(Permanent):
    """A dataset has no delivery for the month: a month with nothing would be a file with a header only."""


class DeliveryRefused(Permanent):
    """A file of the delivery cannot be trusted; the dataset keeps its last good state."""


class BadParameter(Permanent):
    """A run parameter, month, period, dataset or setting is not what it must be."""


class BuildFailed(Permanent):
    """The warehouse could not be built; what is published stays as it is."""


class AuditFailed(Permanent):
    """The built warehouse did not pass its audit; what is published stays as it is."""
