"""The page (网页): a static site per release that opens from disk, every figure of it from the published file.

``index.html`` is the newest period's overall ranking. Each shown period has a folder with a page per area and per
unit; ``quality.html``, ``revisions.html``, ``rules.html`` and ``downloads.html`` speak of the release. Nothing in it
asks a network or a server for anything: styles, scripts and the charting library lie in ``assets/``, data in the pages.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import jinja2
import plotly

from ingestion.collector import collector_paused
from ingestion.home import Home
from publishing.labels import labels
from publishing.page import site_pages
from publishing.page.names import Names, file_name, ranking_file, unit_file
from publishing.page.ranking import Rankings
from publishing.page.source import Source
from publishing.page.unit import Units
from publishing.page.withheld import Hidden
from publishing.releases import Release
from publishing.small_cells import MARK, THRESHOLD

_HERE = Path(__file__).parent

#: The charting library as its package ships it, one copy for the whole site.
CHARTS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"

_SITE = ("quality", "revisions", "rules", "downloads")


def write_page(home: Home, release: Release, folder: Path) -> Path:
    """Writes the site of a release into ``folder`` (made where it is absent, else empty); returns ``index.html``.

    ``home`` is the county's; nothing is read from it but the release. Raises BadParameter where a path is none.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(_HERE / "assets", folder / "assets")
    shutil.copyfile(_HERE / "derived.sql", folder / "assets" / "derived.sql")
    shutil.copyfile(CHARTS, folder / "assets" / "plotly.min.js")
    with collector_paused(), Source(release.warehouse) as source:
        _Site(source, release, folder).write()
    return folder / "index.html"


class _Site:
    def __init__(self, source: Source, release: Release, folder: Path) -> None:
        self.source, self.release, self.folder = source, release, folder
        self.names = Names(source)
        self.environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.globals |= {
            "words": labels(),
            "names": self.names,
            "withheld_note": f"{MARK}：{labels()['small_cells'].format(threshold=THRESHOLD)}",
            "ranking_file": ranking_file,
            "unit_file": unit_file,
            "site_pages": {name: labels()["page"]["pages"][name] for name in _SITE},
        }

    def write(self) -> None:
        hidden = Hidden(self.source)
        rankings, units = Rankings(self.source, self.names, hidden), Units(self.source, self.names, hidden)
        for period in self.names.periods:
            (self.folder / file_name(period["period_code"])).mkdir()
            areas = ["overall", *(area["area"] for area in self.names.areas[period["rule_set"]])]
            areas = [area for area in areas if (period["period_code"], area) in rankings.rows]
            shown = {"period": period, "areas": areas}
            for area in areas:
                withheld = (period["period_code"], area) in hidden.areas
                context = shown | {"area": area, "groups": rankings.groups(period, area), "withheld": withheld}
                self._page(ranking_file(period["period_code"], area), "ranking.html.j2", **context)
                if area == "overall" and period is self.names.periods[0]:
                    self._page("index.html", "ranking.html.j2", **context)
            for unit in self.names.units:
                file = unit_file(period["period_code"], unit["unit_code"])
                self._page(file, "unit.html.j2", **shown, area="", **units.context(period, unit))
        self._page("quality.html", "quality.html.j2", **site_pages.quality(self.source))
        self._page("revisions.html", "revisions.html.j2", **site_pages.revisions(self.source, self.names, hidden))
        self._page("rules.html", "rules.html.j2", **site_pages.rules(self.names))
        files = site_pages.downloads(self.names, self.source, self.release.path, self.folder)
        self._page("downloads.html", "downloads.html.j2", files=files)

    def _page(self, file: str, template: str, **context: Any) -> None:
        root = "../" * file.count("/")
        text = self.environment.get_template(template).render(root=root, here=file, **context)
        (self.folder / file).write_text(text, encoding="utf-8")
