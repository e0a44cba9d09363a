"""Reads PromQL: which metrics and labels an expression names, and which expressions dashboards and alert rules have."""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.support.pages import ROOT

OBSERVABILITY = ROOT / "deploy" / "observability"
ALERTS = OBSERVABILITY / "prometheus" / "alerts.yaml"
ALERTS_TEST = OBSERVABILITY / "prometheus" / "alerts_test.yaml"
DASHBOARDS = sorted((OBSERVABILITY / "grafana" / "dashboards").glob("*.json"))
FROM_PROMETHEUS = {"job", "instance"}
"""The labels that Prometheus adds to each series."""
UP = "up"
"""The only metric that Prometheus itself makes."""

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_SELECTOR = re.compile(r"(?<![\w:])((?:triptych|process|python)_\w+|up)\b(?:\{([^}]*)\})?")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_MATCHED = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_VARIABLE_WINDOW = "$__rate_interval"


class Question(NamedTuple):
    """An expression, and where it is asked."""

    where: str
    expr: str


def named(expr: str) -> dict[str, set[str]]:
    """The metrics that an expression names, each with the labels that select its series."""
    expr = _STRING.sub('""', expr)
    found: dict[str, set[str]] = {}
    for metric, matchers in _SELECTOR.findall(expr):
        found.setdefault(metric, set()).update(_MATCHED.findall(matchers))
    return found


def grouped(expr: str) -> set[str]:
    """The labels by which an expression groups or joins; at least one of its metrics must have each of them."""
    lists = _GROUPING.findall(_STRING.sub('""', expr))
    return {label for labels in lists for label in re.findall(r"\w+", labels)}


@functools.cache
def rules() -> list[dict[str, Any]]:
    """The alert rules."""
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def panels(dashboard: Path) -> list[dict[str, Any]]:
    """The panels of a dashboard, without the titles of its rows."""
    return [panel for panel in json.loads(dashboard.read_text())["panels"] if panel["type"] != "row"]


def questions() -> Iterator[Question]:
    """Every expression of the dashboards and of the alert rules."""
    for rule in rules():
        yield Question(rule["alert"], rule["expr"])
    for dashboard in DASHBOARDS:
        for panel in panels(dashboard):
            for target in panel.get("targets", ()):
                yield Question(f"{dashboard.stem}: {panel['title']}", target["expr"])


def without_variables(expr: str) -> str:
    """An expression of a dashboard as Prometheus gets it."""
    return expr.replace(_VARIABLE_WINDOW, "5m").replace("$job", "triptych-.*").replace("$instance", ".*")


def unanswered(exposed: Mapping[str, set[str]]) -> list[str]:
    """What dashboards and alerts ask for, and nobody exposes.

    Args:
        exposed: the labels of each series by its name, as it is in an expression (with `_bucket`, for example).
    """
    problems = []
    for where, expr in questions():
        metrics = named(expr)
        known: set[str] = set(FROM_PROMETHEUS)
        for metric, labels in metrics.items():
            if metric == UP:
                continue
            if metric not in exposed:
                problems.append(f"{where}: {metric} is not exposed")
                continue
            known |= exposed[metric]
            problems += [
                f"{where}: {metric} has no label {label}"
                for label in sorted(labels - exposed[metric] - FROM_PROMETHEUS)
            ]
        problems += [f"{where}: no metric has the label {label}" for label in sorted(grouped(expr) - known)]
    return problems
