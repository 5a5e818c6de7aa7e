"""Names of files, and parameters of a run, that are something else besides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from faults import material as m
from faults.judge import EXACT, REFUSE, Expect, Observed, Verdict, judge
from faults.variants import Variant, delivered
from faults.workplace import Files, Workplace
from ingestion.contracts import CONTRACTS
from ingestion.errors import TongbaoError
from ingestion.landing import pull
from ingestion.load import load
from ingestion.period import Month, Period
from ingestion.transports import connect

NAMES = (
    "export[1].csv", "export[1-9].csv", "*.csv", "?.csv", "{a,b}.csv", "**.csv", "a b.csv", " a.csv", "a .csv",
    "it's.csv", 'say "x".csv', "a`id`.csv", "$(id).csv", "a;b.csv", "a|b.csv", "a&b.csv", "a>b.csv", "-rf.csv",
    "--help.csv", "a\nb.csv", "a\tb.csv", "a\\b.csv", "..csv", "...csv", "..\\x.csv", "%2e%2e%2fx.csv", "a%00b.csv",
    "a#b.csv", "a?b=c.csv", "a:b.csv", "~a.csv", "{{ x }}.csv", "{% x %}.csv", "导出(1).csv", "导出.csv",
    "ｅｘｐｏｒｔ.csv",
    "𠮷.csv", "😀.csv", "e\u0301.csv", "\u202ecsv.csv", "a\u200b.csv", "EXPORT.CSV", "export.CSV", "export.Csv",
    "a.b.c.csv",
    "x" * 250 + ".csv", "长" * 80 + ".csv", "CON.csv", "manifest.csv", "1.csv", "0x1.csv", "null.csv",
    "a'; DROP TABLE x--.csv",
)  # fmt: skip
#: Not a table by its name: refused, or (where nothing else is there) missing.
NO_TABLES = ("export", "export.exe", "export.csv.bak", "export.parquet", "export.html", "a.csv.part", ".csv",
             ".hidden.csv", "~$a.xlsx", "manifest.json", "export.csv ", "export.csv.", "export.rar", "export.7z",
             "a.csv.tmp")  # fmt: skip


def files() -> Iterator[Variant]:
    """All variants of the row *file names*."""
    for dataset in ("hotline_tickets", "cms_posts"):
        rows = m.generated(dataset)
        content = m.csv_bytes(dataset, rows)
        secrets = m.secrets(dataset)
        for name in NAMES:
            expect = Expect(m.wanted(dataset, rows), frozenset({EXACT, REFUSE}), secrets=secrets)
            yield delivered(f"{dataset}/{name[:40]!r}", dataset, lambda n=name, c=content, e=expect: ({n: c}, e))  # type: ignore[misc]
        for name in NO_TABLES:
            expect = Expect(may=frozenset({REFUSE}), secrets=secrets)
            yield delivered(f"{dataset}/no_table/{name}", dataset, lambda n=name, c=content, e=expect: ({n: c}, e))  # type: ignore[misc]
        for first, second in (
            ("export[1].csv", "export1.csv"), ("a.csv", "A.csv"), ("é.csv", "e\u0301.csv"), ("a*.csv", "ab.csv"),
            ("a.csv", "a.CSV"), ("?.csv", "x.csv"), ("{a,b}.csv", "a.csv"), ("a b.csv", "a\u00a0b.csv"),
        ):  # fmt: skip
            for swapped in (False, True):
                pair = (second, first) if swapped else (first, second)
                yield delivered(f"{dataset}/pair/{pair[0]}+{pair[1]}", dataset, _pair(dataset, *pair))


def _pair(dataset: str, first: str, second: str) -> Callable[[], tuple[Files, Expect]]:
    """Two files of which one name is a pattern or a twin of the other: each is read once, as itself."""

    def make() -> tuple[Files, Expect]:
        rows = m.generated(dataset)
        return {first: m.csv_bytes(dataset, rows[:20]), second: m.csv_bytes(dataset, rows[20:])}, Expect(
            m.wanted(dataset, rows), frozenset({EXACT, REFUSE}), secrets=m.secrets(dataset)
        )

    return make


PARAMETERS = (
    "", " ", "2022-13", "2022-00", "2022-7", "22-07", "2022-07-01", "2022-07 ", " 2022-07", "2022-07\n", "2022-07\x00",
    "２０２２-０７", "2022‐07", "2022-07'; DROP TABLE marts.unit_scores; --", "2022-07' OR '1'='1",
    "2022-07\"; SELECT 1; --",
    "{{ env_var('HOME') }}", "{{ ds }}", "{% raw %}", "{{ 7*7 }}", "{{ config.__class__ }}", "$(touch /tmp/x)", "`id`",
    "2022-07; id",
    "2022-07 && id", "| cat /etc/passwd", "../../etc/passwd", "2022-07/../../x", "/etc/passwd", "file:///etc/passwd",
    "read_csv('/etc/passwd')", "*", "[2022-07]", "2022-0?", "%s", "%(x)s", "{0}", "--help", "-", "null", "None", "true",
    "NaN", "1e3", "9999999-01", "0000-01", "2022-07--", "--2022-07", "2022-07--2022-06", "2022-07--2022-09--2022-10",
    "2022-02--2022-03", "2022-07--2022-07", "2022-07,2022-08", "['2022-07']", '{"a": 1}', "2022-07\r\nX: y", "<script>",
    "x" * 100_000,
    "٢٠٢٢-٠٧", "2022-07\u200b", "\ufeff2022-07", "\ud800",
)  # fmt: skip
#: Right in themselves, so not to be refused as a period.
PERIODS = {"2022-07"}


def parameters() -> Iterator[Variant]:
    """All variants of the row *parameters*: at each place where one comes in."""
    from publishing import plan

    def as_month(place: Workplace, text: str) -> Any:
        return Month.parse(text)

    def as_period(place: Workplace, text: str) -> Any:
        return Period.parse(text)

    def as_loaded_month(place: Workplace, text: str) -> Any:
        return load(place.home, "hotline_tickets", text)

    def as_loaded_dataset(place: Workplace, text: str) -> Any:
        return load(place.home, text, m.MONTH)

    def as_pulled(where: str) -> Callable[[Workplace, str], Any]:
        def act(place: Workplace, text: str) -> Any:
            place.put("hotline_tickets", {"a.csv": m.csv_bytes("hotline_tickets", m.generated("hotline_tickets"))})
            given: dict[str, Any] = {"system": "hotline", "dataset": "hotline_tickets", "month": m.MONTH}
            given[where] = text
            return pull(place.home, connect(place.exports.as_uri()), **given)

        return act

    def as_planned(place: Workplace, text: str) -> Any:
        return plan(place.home, periods=[text])

    def as_planned_month(place: Workplace, text: str) -> Any:
        return plan(place.home, month=text)

    doors: dict[str, Callable[[Workplace, str], Any]] = {
        "month": as_month, "period": as_period, "load_month": as_loaded_month, "load_dataset": as_loaded_dataset,
        "pull_system": as_pulled("system"), "pull_dataset": as_pulled("dataset"), "pull_month": as_pulled("month"),
        "plan_periods": as_planned, "plan_month": as_planned_month,
    }  # fmt: skip
    for door, act in doors.items():
        for number, text in enumerate(PARAMETERS):
            yield Variant(f"{door}/{number:02d}", lambda place, act=act, text=text: _refused(place, act, text))  # type: ignore[misc]


def _refused(place: Workplace, act: Callable[[Workplace, str], Any], text: str) -> Verdict:
    """The parameter must be refused by name, before anything was written."""
    observed = Observed()
    try:
        act(place, text)
    except TongbaoError as error:
        observed.refusal = str(error)
        if len(str(error)) > 2000:
            observed.breaches.append("the whole parameter stands in the message")
    except Exception as error:
        observed.crash = f"{type(error).__name__}: {str(error)[:100]}"
    if place.home.root.exists():
        known = {*CONTRACTS, "sqlite", "incoming", "objects"}
        observed.leftovers = [
            str(path) for path in place.home.root.rglob("*")
            if path.is_file() and path.name not in ("ledger.sqlite",) and path.parent.name not in known
        ]  # fmt: skip
    return judge(Expect(may=frozenset({REFUSE})), observed)
