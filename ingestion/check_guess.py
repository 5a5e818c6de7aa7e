"""Which dataset a file holds, by its headers: for people who check a file without naming what it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ingestion.contracts import Column, Contract, Refusal, contract_of
from ingestion.errors import DeliveryRefused
from ingestion.profile import county, delivered_datasets
from ingestion.readers import open_table
from ingestion.readers.cells import narrow

#: A file is taken for a dataset's when it has at least this share of the headers that the dataset requires.
SHARE_NEEDED = 0.5


@dataclass(frozen=True)
class Guess:
    """The dataset, None where no contract fits well or several do (``alike``); ``refusal`` where no header was read."""

    dataset: str | None = None
    alike: tuple[str, ...] = ()
    refusal: DeliveryRefused | None = None


def guess_dataset(path: Path, preferred: str | None = None) -> Guess:
    """The dataset whose required headers the file has most of; of equals ``preferred`` (what the folders say)."""
    wanted = {name: _headers(contract_of(name)) for name in delivered_datasets()}
    every = dict.fromkeys(header for headers in wanted.values() for header in headers)
    columns = tuple(
        Column.model_construct(name=f"c{number}", header=header, type="string", optional=True)
        for number, header in enumerate(every)
    )
    anything = Contract.model_construct(
        dataset="anything", title="任何一类数据", system="any", key=("c0",), columns=columns, refusal=Refusal()
    )
    try:
        with open_table(path, path.name, anything) as reader:
            present = {anything.column(name).header for name in reader.columns}
    except DeliveryRefused as error:
        return Guess(refusal=error)
    scores = {}
    for name, headers in wanted.items():
        required = {header for header, is_required in headers.items() if is_required}
        scores[name] = (len(required & present) / len(required), len(headers.keys() & present))
    best = max(scores.values())
    found = [name for name, score in scores.items() if score == best]
    if best[0] < SHARE_NEEDED:
        return Guess()
    if len(found) > 1 and (profile := county()):
        # One file that feeds several datasets is the one under whose name it is delivered.
        found = [name for name in found if profile.delivered_as(name) == name] or found
    return Guess(preferred if preferred in found else found[0] if len(found) == 1 else None, tuple(found))


def _headers(contract: Contract) -> dict[str, bool]:
    """Headers under which the dataset is delivered in the chosen county -> must a file have them?"""
    profile = county()
    if profile and profile.is_mapped(contract.dataset):
        from ingestion.mapping import delivered_contract

        contract = delivered_contract(profile, contract)
    headers = {narrow(column.header): not column.optional for column in contract.columns}
    return headers if any(headers.values()) else dict.fromkeys(headers, True)
