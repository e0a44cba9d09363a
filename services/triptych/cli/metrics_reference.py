"""The reference page of metrics: what each process tells under `/metrics`, read from the code."""

import ast
import functools
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

from triptych.kit.process.waits import WAITS

PACKAGE = __package__.rpartition(".")[0]
SERVICES = ("command", "projector", "webhooks", "gateway")


def metrics_page(heading: str) -> str:
    """The metrics by name: kind, labels, the processes whose code changes them, and their help text."""
    closures = {service: _closure(f"{PACKAGE}.{service}.app") for service in SERVICES}
    rows = {}
    for module, name, metric in _metrics(set().union(*closures.values())):
        users = [service for service in SERVICES if any(_uses(user, module, name) for user in closures[service])]
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        rows[_shown(metric)] = (metric._type, labels, users, metric._documentation)
    for family in WAITS.collect():
        rows[family.name] = (family.type, "`for`", list(SERVICES), family.documentation)
    lines = [
        f"| `{name}` | {kind} | {labels} | {'all' if tuple(users) == SERVICES else ', '.join(users)} | {text} |"
        for name, (kind, labels, users, text) in sorted(rows.items())
    ]
    return "\n".join(
        [
            heading,
            "",
            "# Metrics",
            "",
            "Each service answers `/metrics` in the text format of Prometheus, on the port of its health. A",
            "histogram has the series `_bucket`, `_sum` and `_count`. Those of the Python client about the",
            "process itself (`process_`, `python_`) come with them. A metric with labels has no series before its",
            "first value.",
            "",
            "| name | kind | labels | told by | meaning |",
            "|---|---|---|---|---|",
            *lines,
            "",
        ]
    )


def _shown(metric: MetricWrapperBase) -> str:
    """The name as Prometheus reads it: the library keeps a counter's name without its end."""
    return f"{metric._name}_total" if metric._type == "counter" else str(metric._name)


def _metrics(modules: set[str]) -> Iterator[tuple[str, str, MetricWrapperBase]]:
    """The metrics that these modules define: module, name there, metric."""
    for module in sorted(modules):
        defined = _defined(module)
        for name, value in vars(importlib.import_module(module)).items():
            if isinstance(value, MetricWrapperBase) and name in defined:
                yield module, name, value


def _closure(module: str) -> set[str]:
    """The modules of this project that `module` loads, itself among them."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [one for one, _ in _imports(name) if one.startswith(f"{PACKAGE}.")]
    return found


@functools.cache
def _tree(module: str) -> ast.Module:
    importlib.import_module(module)
    file = sys.modules[module].__file__
    return ast.parse(Path(file).read_text(encoding="utf-8") if file else "")


@functools.cache
def _imports(module: str) -> frozenset[tuple[str, str]]:
    """What `module` imports: a module, and the name in it, which is empty if the module itself is imported."""
    found = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add((inner, "") if inner in sys.modules else (node.module, alias.name))
        elif isinstance(node, ast.Import):
            found.update((alias.name, "") for alias in node.names)
    return frozenset(found)


def _defined(module: str) -> set[str]:
    return {
        target.id
        for node in _tree(module).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _uses(user: str, module: str, name: str) -> bool:
    """Whether a module takes the metric `name` from `module`, or is `module` and does more than define it."""
    if user != module:
        return (module, name) in _imports(user)
    return any(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
        for node in ast.walk(_tree(user))
    )
