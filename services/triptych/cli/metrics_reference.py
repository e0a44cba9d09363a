"""Makes the reference page of metrics from the code: what each process reports under `/metrics`."""

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
    """The page: each metric by name, with kind, labels, the processes whose code changes it, and help text."""
    closures = {service: _closure(f"{PACKAGE}.{service}.__main__") for service in SERVICES}
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
            "Each service serves `/metrics` in the text format of Prometheus, on its health port. A histogram has the",
            "series `_bucket`, `_sum` and `_count`. The metrics of the Python client about the process itself",
            "(`process_`, `python_`) are served too. A metric whose labels are known beforehand begins at 0. Another",
            "metric with labels has no series before its first value. No label names a site, a gallery or a listener.",
            "[Operations](operations/README.md) says which values matter.",
            "",
            "| name | kind | labels | reported by | meaning |",
            "|---|---|---|---|---|",
            *lines,
            "",
        ]
    )


def _shown(metric: MetricWrapperBase) -> str:
    """The name as Prometheus reads it. The library stores a counter's name without its suffix."""
    return f"{metric._name}_total" if metric._type == "counter" else str(metric._name)


def _metrics(modules: set[str]) -> Iterator[tuple[str, str, MetricWrapperBase]]:
    """The metrics that these modules define: module, name in the module, metric."""
    for module in sorted(modules):
        defined = _defined(module)
        for name, value in vars(importlib.import_module(module)).items():
            if isinstance(value, MetricWrapperBase) and name in defined:
                yield module, name, value


def _closure(module: str) -> set[str]:
    """The modules of this project that `module` imports, directly or not, and `module` itself."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [imported for imported, _ in _imports(name) if imported.startswith(f"{PACKAGE}.")]
    return found


@functools.cache
def _tree(module: str) -> ast.Module:
    importlib.import_module(module)
    file = sys.modules[module].__file__
    return ast.parse(Path(file).read_text(encoding="utf-8") if file else "")


@functools.cache
def _imports(module: str) -> frozenset[tuple[str, str]]:
    """The imports of `module`: a module and a name in it. The name is empty if the module itself is imported."""
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
    """Whether `user` imports the metric `name` from `module`, or is `module` and uses the metric itself."""
    if user != module:
        return (module, name) in _imports(user)
    return any(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
        for node in ast.walk(_tree(user))
    )
