"""Pages from templates: every text is escaped, a name that is missing is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2


def page(template: str, **content: Any) -> str:
    """The template in ``templates/`` with this content."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["score"] = lambda value: "—" if value is None else f"{value:.2f}"
    environment.filters["or_dash"] = lambda value: "—" if value is None else value
    return environment.get_template(template).render(**content)
