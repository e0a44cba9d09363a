"""Reads what services expose under /metrics, and what docs/metrics.md says that they expose."""

import re
import urllib.request
from collections.abc import Iterable

from prometheus_client.parser import text_string_to_metric_families

from tests.support.pages import ROOT

_ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \| ([^|]*) \|", re.MULTILINE)
SERVICES = ("command", "projector", "webhooks", "gateway")
_SERIES = {"histogram": ("_bucket", "_sum", "_count")}
FROM_CLIENT = ("process_", "python_")


def documented() -> dict[str, tuple[str, set[str], set[str]]]:
    """Each metric of docs/metrics.md: its kind, its labels, and the services that report it."""
    page = (ROOT / "docs" / "metrics.md").read_text()
    return {
        name: (kind, set(re.findall(r"`(\w+)`", labels)), set(SERVICES if by == "all" else by.split(", ")))
        for name, kind, labels, by in _ROW.findall(page)
    }


def documented_series() -> dict[str, set[str]]:
    """The labels of each documented series by its name."""
    found = {}
    for name, (kind, labels, _) in documented().items():
        for suffix in _SERIES.get(kind, ("",)):
            found[name + suffix] = labels | ({"le"} if suffix == "_bucket" else set())
    return found


def scrape(address: str) -> str:
    """What a service exposes now."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=10) as response:  # noqa: S310 - our own service
        text: str = response.read().decode()
    return text


def series(texts: Iterable[str]) -> dict[str, set[str]]:
    """The labels of each series in these texts by its name."""
    found: dict[str, set[str]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


def names(text: str) -> set[str]:
    """The names of the metrics in a text, as docs/metrics.md has them; also of those that have no values yet."""
    declared = re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE)
    return {name for name, _ in declared if not name.startswith(FROM_CLIENT) and not name.endswith("_created")}
