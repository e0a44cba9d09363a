"""Renders the figures of all rounds as text and as a JSON document."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks.figures import Figures
from benchmarks.statistics import Summary, ratios, summarise

COMPARISONS = (("product", "floor"), ("product", "naive"))


@dataclass(frozen=True)
class Result:
    """The figures of a scenario, by variant, with one entry for each round."""

    scenario: str
    description: str
    rounds: Mapping[str, Sequence[Figures]]

    def summaries(self) -> dict[str, dict[str, Summary]]:
        """The median and spread of each figure, by variant."""
        return {
            variant: {name: summarise(values) for name, values in _columns(figures).items()}
            for variant, figures in self.rounds.items()
        }

    def ratios(self) -> dict[str, dict[str, Summary]]:
        """The median and spread of the ratios of each round, by comparison, if the scenario has both variants."""
        compared = {}
        for above, below in COMPARISONS:
            if above in self.rounds and below in self.rounds:
                over, under = _columns(self.rounds[above]), _columns(self.rounds[below])
                compared[f"{above}/{below}"] = {
                    name: summarise(ratios(over[name], under[name]))
                    for name in over
                    if name in under and all(under[name])  # a server that had nothing to do is not compared
                }
        return compared

    def to_json(self) -> dict[str, Any]:
        """The figures, summaries and ratios, ready for JSON."""
        return {
            "description": self.description,
            "rounds": dict(self.rounds),
            "variants": _plain(self.summaries()),
            "ratios": _plain(self.ratios()),
        }


def render(result: Result) -> str:
    """Tables of medians with their spread, and of ratios."""
    lines = [f"{result.scenario}: {result.description}", "median (min..max)"]
    for title, summaries in (*result.summaries().items(), *result.ratios().items()):
        for position, (name, summary) in enumerate(summaries.items()):
            head = title if position == 0 else ""
            spread = f"({_number(summary.low)}..{_number(summary.high)})"
            lines.append(f"  {head:<16}{name:<32}{_number(summary.median):>10}  {spread}")
    return "\n".join(lines)


def write(path: Path, results: Sequence[Result], circumstances: Mapping[str, Any]) -> None:
    """Replace the document at `path` atomically. `circumstances` describe the machine and the command."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {**circumstances, "scenarios": {result.scenario: result.to_json() for result in results}}
    written = path.with_suffix(".tmp")
    written.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    written.replace(path)


def _columns(figures: Sequence[Figures]) -> dict[str, list[float]]:
    return {name: [of_round[name] for of_round in figures] for name in figures[0]}


def _plain(summaries: Mapping[str, Mapping[str, Summary]]) -> dict[str, dict[str, dict[str, float]]]:
    return {title: {name: asdict(summary) for name, summary in columns.items()} for title, columns in summaries.items()}


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
