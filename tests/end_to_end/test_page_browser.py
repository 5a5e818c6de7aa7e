"""The page in a real browser, from disk and offline: no console error, no request, no overflow, keyboard and print.

Needs Chromium (Debian: chromium, fonts-noto-cjk). A machine without it says so in the summary of the run; with
TONGBAO_BROWSER=required, as in CI, that is a failure.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

#: What each page is looked at for: nothing reaches over the edge but what scrolls by itself.
_OVERFLOWING = """
() => [...document.querySelectorAll("body *")]
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".sheet, .skip"))
  .map(e => e.outerHTML.slice(0, 80))
"""

#: Plots that are not there, not drawn, or wider than their place.
_BAD_PLOTS = """
() => [...document.querySelectorAll(".plot")]
  .filter(p => { const width = p.querySelector(".main-svg")?.getBoundingClientRect().width ?? 0;
                 return width > p.clientWidth + 1 || width < 0.9 * p.clientWidth; })
  .map(p => p.dataset.table)
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        reason = "no Chromium here: the page was NOT opened in a browser (apt-get install chromium fonts-noto-cjk)"
        if os.environ.get("TONGBAO_BROWSER") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, headless=True, args=_ARGUMENTS)
        yield opened
        opened.close()


class Seen:
    """What a visit must not leave: console messages, errors, requests to anything but files."""

    def __init__(self, page: Page) -> None:
        self.said: list[str] = []
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        page.on("requestfailed", lambda request: self.said.append(f"failed: {request.url}"))
        page.on("request", lambda request: self._asked(request.url))

    def _asked(self, url: str) -> None:
        if not url.startswith(("file:", "data:", "blob:")):
            self.said.append(f"asked: {url}")


def visit(browser: Browser, **device: Any) -> tuple[Page, Seen]:
    context = browser.new_context(offline=True, **device)
    # A busy machine may take its time; what must not happen is looked at when it is through.
    context.set_default_timeout(200_000)
    page = context.new_page()
    return page, Seen(page)


def shown(folder: Path) -> list[str]:
    """The pages of the release, and of each other kind those with the most and the least to show."""
    period = folder / "2022-07--2022-08"
    rankings = [period / "hotline.html", folder / "2022-07" / "media.html"]
    units = [period / "unit-U04.html", folder / "2022-07" / "unit-U13.html"]
    return [path.relative_to(folder).as_posix() for path in [*folder.glob("*.html"), *rankings, *units]]


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (375, "dark")], ids=["desktop in the light", "telephone in the dark"]
)
def test_every_kind_of_page_opens_clean(page_folder: Path, browser: Browser, width: int, scheme: Any) -> None:
    page, seen = visit(browser, viewport={"width": width, "height": 900}, color_scheme=scheme)
    plots = 0
    for name in shown(page_folder):
        page.goto((page_folder / name).as_uri())
        page.wait_for_function("() => [...document.querySelectorAll('.plot')].every(p => p.querySelector('.main-svg'))")
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), name
        assert page.evaluate(_OVERFLOWING) == [], name
        assert page.evaluate(_BAD_PLOTS) == [], name
        plots += page.locator(".plot").count()
    assert seen.said == []
    assert plots > 25
    page.context.close()


def test_a_page_that_errs_is_noticed(page_folder: Path, browser: Browser, tmp_path: Path) -> None:
    text = (page_folder / "quality.html").read_text(encoding="utf-8")
    wide = '<p style="width:3000px">x</p><script src="https://example.invalid/x.js"></script></main>'
    (tmp_path / "page.html").write_text(text.replace("</main>", wide), encoding="utf-8")
    page, seen = visit(browser, viewport={"width": 375, "height": 900})
    page.goto((tmp_path / "page.html").as_uri())
    assert any("example.invalid" in each for each in seen.said)
    assert page.evaluate(_OVERFLOWING)
    page.context.close()


def test_plots_show_the_figures_of_their_tables(page_folder: Path, browser: Browser) -> None:
    page, _ = visit(browser)
    page.goto((page_folder / "index.html").as_uri())
    page.wait_for_selector("#ranking-township")
    drawn = page.evaluate("() => document.querySelector('[data-table=ranking-township]').data[0].x.map(Number)")
    printed = [cell for cell in page.locator("#ranking-township tbody td:first-child").all_inner_texts() if cell != "—"]
    assert drawn == [float(cell) for cell in printed] and len(drawn) == 10
    bars = page.evaluate("() => document.querySelector('[data-table=parts-township]').data.map(t => t.x)")
    cells = page.locator("#parts-township tbody tr").first.locator("td").all_inner_texts()
    assert [each[0] for each in bars] == [float(cell) for cell in cells[:-1]]
    page.context.close()


def test_tables_sort_and_pages_are_reached_by_the_keyboard_alone(page_folder: Path, browser: Browser) -> None:
    page, seen = visit(browser)
    page.goto((page_folder / "index.html").as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.className") == "skip"
    assert page.evaluate("() => document.activeElement.getBoundingClientRect().left >= 0")
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.id") == "content"
    header = page.locator("#ranking-township thead th", has_text="单位")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.textContent") == "单位":
            break
    outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    names = page.locator("#ranking-township tbody th").all_inner_texts()
    by_name = page.evaluate("names => [...names].sort((a, b) => a.localeCompare(b, 'zh-CN'))", names)
    assert names == by_name
    page.keyboard.press("Enter")
    assert page.locator("#ranking-township tbody th").all_inner_texts() == by_name[::-1]
    page.locator("#ranking-township tbody a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/unit-*.html")
    assert seen.said == []
    page.context.close()


def test_the_page_prints(page_folder: Path, browser: Browser, tmp_path: Path) -> None:
    page, _ = visit(browser, color_scheme="dark")
    page.goto((page_folder / "2022-07--2022-08" / "unit-U04.html").as_uri())
    page.wait_for_selector(".main-svg")
    ink = "() => [...document.querySelectorAll('.plot')].map(plot => plot.layout.font.color)"
    by_night = set(page.evaluate(ink))
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    on_paper = set(page.evaluate(ink))
    assert on_paper == {"#1c2733"} and by_night.isdisjoint(on_paper)
    assert page.evaluate("() => [...document.querySelectorAll('main details')].every(each => each.open)")
    page.evaluate("() => dispatchEvent(new Event('afterprint'))")
    assert set(page.evaluate(ink)) == by_night
    page.emulate_media(media="print")
    assert not page.locator("header").is_visible() and not page.locator("footer").is_visible()
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True, print_background=True)
    assert (tmp_path / "page.pdf").stat().st_size > 50_000
    page.context.close()


def test_without_scripts_the_tables_remain(page_folder: Path, browser: Browser) -> None:
    page, seen = visit(browser, java_script_enabled=False)
    page.goto((page_folder / "index.html").as_uri())
    assert page.locator("#ranking-township tbody tr").count() == 10
    assert page.locator(".plot:visible").count() == 0
    assert seen.said == []
    page.context.close()
