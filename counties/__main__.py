"""``python -m counties``: what helps to make a county profile."""

from __future__ import annotations

import csv
import re
import unicodedata
from pathlib import Path

import click
import pandas as pd

from ingestion.contracts import CONTRACTS
from ingestion.errors import TongbaoError
from ingestion.profile import column_of, county, read_profile


@click.group()
def main() -> None:
    """Make and check a county's profile (县域配置)."""


@main.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def check(folder: Path) -> None:
    """Say whether the profile in FOLDER holds together, and where each column comes from (核对配置)."""
    try:
        profile = read_profile(folder)
    except TongbaoError as error:
        raise click.ClickException(str(error)) from None
    for name, described in profile.datasets.items():
        contract = CONTRACTS[name]
        mapped = {column_of(contract, ours).name: each for ours, each in described.columns.items()}
        click.echo(f"{name} {contract.title}, delivered as {profile.delivered_as(name)}")
        for column in contract.columns:
            source = mapped.get(column.name)
            told = "、".join(dict.fromkeys(source.headers)) or "(constant)" if source else f"{column.header} (as it is)"
            click.echo(f"  {column.header} {column.name}: {told}")
    if absent := [name for name in CONTRACTS if name not in profile.datasets]:
        click.echo(f"not delivered: {', '.join(absent)}")


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the seeds.")
@click.option("--code", required=True, help="Header of the unit's code.")
@click.option("--name", required=True, help="Header of the unit's name.")
@click.option("--null", "null_markers", multiple=True, help="Cells that mean empty.")
@click.option("--township", help="Regular expression: names that are of the group township; others are departments.")
@click.option("--unranked", multiple=True, help="Code of a unit that is in no ranking (it gets the group operator).")
def units(
    file: Path,
    out: Path,
    code: str,
    name: str,
    null_markers: tuple[str, ...],
    township: str | None,
    unranked: tuple[str, ...],
) -> None:
    """Write units.csv and unit_aliases.csv from the codes and names in a CSV export (单位表).

    A code is one unit, whatever its names. It is called by its most frequent name that no other code bears; every
    other name that only it bears becomes an alias, and so does the code itself: a name that two codes share tells
    neither of them.
    """
    rows = pd.read_csv(file, dtype=str, keep_default_na=False, usecols=[code, name])
    rows = rows.apply(lambda column: column.map(lambda text: unicodedata.normalize("NFKC", text).strip()))
    rows = rows[~rows[code].isin(("", *null_markers)) & ~rows[name].isin(("", *null_markers))]
    pairs = rows.groupby([code, name]).size().rename("rows").reset_index()
    shared = pairs[name].duplicated(keep=False)
    pairs = pairs.assign(shared=shared).sort_values([code, "shared", "rows", name], ascending=[True, True, False, True])
    chosen = pairs.drop_duplicates(code)
    if chosen["shared"].any():
        raise click.ClickException(f"codes without a name of their own: {', '.join(chosen[chosen['shared']][code])}")
    names = dict(zip(chosen[code], chosen[name], strict=True))
    if unknown := set(unranked) - set(names):
        raise click.ClickException(f"--unranked names no code of the file: {', '.join(sorted(unknown))}")
    out.mkdir(parents=True, exist_ok=True)
    in_order = sorted(names, key=lambda each: (len(each), each))
    with (out / "units.csv").open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(["unit_code", "unit_name", "unit_group", "ranked"])
        for each in in_order:
            group = "township" if township and re.search(township, names[each]) else "department"
            ranked = each not in unranked
            writer.writerow([each, names[each], group if ranked else "operator", str(ranked).lower()])
    others = pairs[~pairs["shared"]]
    with (out / "unit_aliases.csv").open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(["alias", "unit_code", "valid_from", "valid_to"])
        for each in in_order:
            aliases = [each, *others.loc[(others[code] == each) & (others[name] != names[each]), name]]
            writer.writerows([alias, each, "", ""] for alias in dict.fromkeys(aliases) if alias != names[each])
    several = int((pairs.groupby(code).size() > 1).sum())
    click.echo(f"{len(names)} units, {pairs[name].nunique()} names; {several} units have several names")


@main.command()
@click.option("--exports", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("periods", nargs=-1)
def run(exports: Path, periods: tuple[str, ...]) -> None:
    """Pull, load and publish the exports in a folder by the profile in TONGBAO_COUNTY (接入并发布).

    PERIODS: only these; default every period that the delivered months complete. Exit codes are those of the steps.
    """
    from ingestion.cli import main as ingestion
    from publishing.cli import main as publishing

    try:
        profile = county()
    except TongbaoError as error:
        raise click.ClickException(str(error)) from None
    if profile is None:
        raise click.ClickException("which county? Set TONGBAO_COUNTY (make county COUNTY=…)")
    click.echo(f"{profile.title}: {exports}")
    ingestion(["pull", "--from", exports.resolve().as_uri()], standalone_mode=False)
    ingestion(["load"], standalone_mode=False)
    publishing(["run", *periods], standalone_mode=False)


if __name__ == "__main__":
    main(prog_name="python -m counties")
