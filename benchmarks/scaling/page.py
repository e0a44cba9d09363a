"""Writes the measured and computed parts of docs/scaling.md: `python -m benchmarks.scaling.page`.

The page has two kinds of such parts: tables between `<!-- begin NAME -->` and `<!-- end -->`, and the output of
`python -m benchmarks plan …` in blocks of the language `text`.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Sequence

from benchmarks.scaling.facts import Facts, facts_of
from benchmarks.scaling.model import SERVICES, TERMS_OF, Error, errors
from benchmarks.scaling.plan_command import COMMAND, parse
from benchmarks.scaling.plan_report import report
from benchmarks.scaling.planning import make_plan
from benchmarks.scaling.points import PARTS, Measured, load
from benchmarks.scaling.steady import BATCHING, Conditions, at_rate
from benchmarks.scaling.work import TERMS
from benchmarks.scenario import ROOT
from benchmarks.statistics import percentile

PAGE = ROOT / "docs" / "scaling.md"
_TABLE = re.compile(r"(<!-- begin (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_OUTPUT = re.compile(rf"(```text\n\$ {re.escape(COMMAND)} ([^\n]*)\n).*?(```)", re.DOTALL)
_EACH = {
    "command": "a command",
    "projector": "an event",
    "relay": "an event",
    "write": "a write over HTTP",
    "read": "a page of items over HTTP",
}


def render(page: str, measured: Measured) -> str:
    """The page with all its measured and computed parts as they are now."""
    facts = facts_of(measured)
    found = errors(measured, facts.model)
    tables: dict[str, Callable[[], str]] = {
        "terms": lambda: _terms(facts),
        "points": lambda: _points(found),
        "errors": lambda: _summary(found),
        "batches": lambda: _batches(facts, measured),
        "bytes": lambda: _bytes(facts),
    }
    page = _TABLE.sub(lambda match: f"{match[1]}\n{tables[match[2]]()}\n\n{match[3]}", page)
    return _OUTPUT.sub(lambda match: f"{match[1]}{_plan(facts, match[2])}\n{match[3]}", page)


def _plan(facts: Facts, arguments: str) -> str:
    demand, _ = parse(shlex.split(arguments))
    return report(facts, make_plan(facts, demand))


def _terms(facts: Facts) -> str:
    rows = []
    for part in PARTS:
        kinds = [kind for of, kind in TERMS_OF if of == part]
        for term, meaning in TERMS.items():
            costs = [facts.model.costs[part, kind].get(term) for kind in kinds]
            if any(costs):
                said = _EACH[part] if term == "each" else meaning
                rows.append((part, said, *("" if cost is None else _micro(cost) for cost in costs)))
    return markdown(("part", "term", "its service, µs", "broker, µs", "mongod, µs"), rows)


def _points(found: Iterable[Error]) -> str:
    rows = []
    for error in found:
        point = error.point
        count, figures = point.conditions.operations, point.figures
        size = count / figures["batches"] if figures.get("batches") and count else 0.0
        kinds = (SERVICES[point.conditions.part], "broker", "mongod")
        scale = 1_000 / count if count else 1_000 / figures["seconds"]
        rows.append(
            (
                point.conditions.name,
                f"{count / figures['seconds']:,.0f}" if count else "",
                f"{size:,.0f}" if size else "",
                " + ".join(_significant(scale * figures.get(f"cpu_{kind}", 0.0)) for kind in kinds),
                _significant(scale * error.measured),
                _significant(scale * error.model),
                f"{error.model / error.measured - 1:+.0%}",
                f"{error.without / error.measured - 1:+.0%}",
            )
        )
    columns = ("point", "a second", "batch", "service + broker + mongod", "in all", "model", "error", "unseen")
    return markdown(columns, rows)


def _summary(found: Sequence[Error]) -> str:
    rows = []
    for part in PARTS:
        own = [error for error in found if error.point.conditions.part == part]
        busy = [error for error in own if error.point.conditions.operations]
        seen = [abs(error.model / error.measured - 1) for error in busy]
        unseen = [abs(error.without / error.measured - 1) for error in busy]
        rows.append(
            (part, str(len(busy)), *(f"{value:.0%}" for v in (seen, unseen) for value in (percentile(v, 0.5), max(v))))
        )
    return markdown(("part", "points", "median error", "largest", "median, unseen", "largest, unseen"), rows)


def _batches(facts: Facts, measured: Measured) -> str:
    rows = []
    for point in measured.points:
        conditions, figures = point.conditions, point.figures
        if conditions.part in BATCHING and conditions.per_second:
            pages = figures["pages_read"] / conditions.operations
            given = Conditions(
                conditions.partitions,
                conditions.galleries,
                conditions.items,
                conditions.zipf,
                pages,
                conditions.listeners,
            )
            rate = conditions.operations / figures["seconds"]
            steady = at_rate(facts.model, conditions.part, rate, conditions.processes, given)
            used = sum(value for name, value in figures.items() if name.startswith("cpu_") and name != "cpu_expiry")
            rows.append(
                (
                    conditions.name,
                    f"{conditions.operations / figures['batches']:,.1f}",
                    f"{steady.batch:,.1f}",
                    f"{used / figures['seconds']:.2f}",
                    f"{sum(steady.cores.values()):.2f}",
                )
            )
    return markdown(("point", "batch", "batch, model", "cores", "cores, model"), rows)


def _bytes(facts: Facts) -> str:
    rows = [
        (name, f"{size.bytes:,.0f}", f"{size.stored:,.0f}", f"{size.indexes:,.0f}")
        for name, size in facts.sizes.items()
    ]
    return markdown(("a document of", "in memory", "on disk", "its indexes"), rows)


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _micro(seconds: float) -> str:
    return _significant(1e6 * seconds) if seconds else ""


def _significant(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(), load()))
