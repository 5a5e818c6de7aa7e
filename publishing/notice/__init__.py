"""The notice (通报) of a released period: DOCX in the layout of official documents, HTML, and each figure's source.

Everything printed comes from the published file. The wording is a template that the office may edit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

import duckdb
import jinja2
from jinja2.sandbox import SandboxedEnvironment

from ingestion.errors import BadParameter
from ingestion.home import Home
from ingestion.period import Period
from ingestion.profile import county
from publishing.labels import period_name
from publishing.notice.blocks import blocks
from publishing.notice.content import Content
from publishing.notice.document import write_docx
from publishing.notice.figures import Ledger, queries
from publishing.notice.web import write_html
from publishing.releases import Release
from publishing.small_cells import Withheld

#: The wording, in the project and in a county's profile folder.
TEMPLATE_FILE = "notice.txt.j2"
#: Names a template of the office's own; the command line's ``--template`` comes first.
TEMPLATE_VARIABLE = "TONGBAO_NOTICE_TEMPLATE"


def template_path(given: Path | None = None) -> Path:
    """The template in force: the one given, that of the environment, that of the county's profile, the project's."""
    if given is None and os.environ.get(TEMPLATE_VARIABLE):
        given = Path(os.environ[TEMPLATE_VARIABLE])
    if given is not None:
        if not given.is_file():
            raise BadParameter(f"there is no template {given}")
        return given
    profile = county()
    own = profile.folder / TEMPLATE_FILE if profile else None
    return own if own and own.is_file() else Path(__file__).with_name(TEMPLATE_FILE)


def released_periods(release: Release) -> list[str]:
    """Codes of the periods that the release holds, sorted."""
    with duckdb.connect(str(release.warehouse), read_only=True) as connection:
        rows = connection.execute("SELECT period_code FROM marts.newest_releases ORDER BY ALL").fetchall()
    return [code for (code,) in rows]


def write_notices(
    home: Home, release: Release, folder: Path, *, periods: Iterable[str] | None = None, template: Path | None = None
) -> None:
    """Writes ``<period>.docx``, ``.html`` and ``.figures.json`` of the periods (default: all released) into ``folder``.

    Raises BadParameter for a period that is not released, and where the template is faulty, with its line.
    """
    known = released_periods(release)
    wanted = known if periods is None else [Period.parse(code).code for code in periods]
    if absent := [code for code in wanted if code not in known]:
        raise BadParameter(f"release {release.number} does not hold {', '.join(absent)}")
    wording = template_path(template)
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(release.warehouse), read_only=True) as connection:
        withheld = Withheld.of(connection)
        for code in wanted:
            _write(connection, withheld, code, wording, folder)


def _write(connection: duckdb.DuckDBPyConnection, withheld: Withheld, code: str, wording: Path, folder: Path) -> None:
    ledger = Ledger(connection, code)
    text = _rendered(wording, Content(ledger, withheld))
    figures = ledger.number(text)
    parts = list(blocks(text))
    title = f"{period_name(code)}政务服务效能通报"
    released_at, release = connection.execute(
        "SELECT released_at, release FROM marts.newest_releases WHERE period_code = ?", [code]
    ).fetchall()[0]
    write_docx(parts, ledger, folder / f"{code}.docx", title, released_at)
    write_html(parts, ledger, figures, folder / f"{code}.html", title)
    used = dict.fromkeys(figure["query"] for figure in figures)
    told = {
        "period": code,
        "release": release,
        "queries": {
            name: {"title": queries()[name]["title"], "sql": queries()[name]["sql"], "parameters": {"period": code}}
            for name in used
        },
        "figures": figures,
    }
    target = folder / f"{code}.figures.json"
    target.write_text(json.dumps(told, ensure_ascii=False, indent=1), encoding="utf-8")


def _rendered(wording: Path, content: Content) -> str:
    # A template is text of the office: in a sandbox it can reach nothing but what Content gives it.
    environment = SandboxedEnvironment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    try:
        return environment.from_string(wording.read_text(encoding="utf-8")).render(n=content)
    except jinja2.TemplateSyntaxError as error:
        raise BadParameter(f"{wording.name} line {error.lineno}: {error.message}") from None
    except (jinja2.TemplateError, TypeError, KeyError, AttributeError, UnicodeDecodeError) as error:
        raise BadParameter(f"{wording.name}: {type(error).__name__}: {error}") from None
