"""Every call of a logger names its event in a constant sentence, and every field is one that operators can look up."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.sources import READS_SOURCES, nodes

pytestmark = READS_SOURCES

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "operations" / "logs.md"
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
LOGGERS = {"log", "logger", "access_log"}
DESCRIBING = {"named_in_log", "_named", "described", "_described", "_gap", "_topic", "position_of", "trace_of", "named"}
"""Functions that return fields of a line."""
OPTIONS = {"exc_info", "kind_of", "error"}
"""Arguments that are not fields, or have the same meaning as a field of that name."""
EVENT_MAX = 100


def modules() -> Iterator[Path]:
    """The modules of the services."""
    yield from sorted((ROOT / "services").rglob("*.py"))


def calls(module: Path) -> Iterator[tuple[ast.Call, ast.expr]]:
    """Each call that writes a line, and its event."""
    events = {
        node.targets[0].id: node.value
        for node in nodes(module)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for node in nodes(module):
        if not isinstance(node, ast.Call):
            continue
        function, event = node.func, None
        if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
            if function.value.id in LOGGERS and function.attr in LEVELS:
                event = node.args[0]
        elif isinstance(function, ast.Name) and function.id == "report" and len(node.args) >= 5:
            event = node.args[2]
        if event is not None:
            yield node, events.get(event.id, event) if isinstance(event, ast.Name) else event


def documented() -> set[str]:
    """The fields in the table of the page."""
    section = PAGE.read_text().split("\n## Fields\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([a-z_]+)`", cell)}


def test_events_are_constant_sentences_and_values_are_fields() -> None:
    faults, count = [], 0
    for module in modules():
        for call, event in calls(module):
            count += 1
            where = f"{module.relative_to(ROOT)}:{call.lineno}"
            if not isinstance(event, ast.Constant) or not isinstance(event.value, str):
                faults.append(f"{where}: the event is not a constant")
            elif "%" in event.value or "{" in event.value or len(event.value) > EVENT_MAX:
                faults.append(f"{where}: {event.value!r}")
            elif isinstance(call.func, ast.Attribute) and len(call.args) > 1:
                faults.append(f"{where}: values without names")
    assert not faults
    assert count > 70


def test_every_field_is_documented_once_for_all() -> None:
    used: dict[str, str] = {}
    for module in modules():
        name = str(module.relative_to(ROOT))
        for call, _ in calls(module):
            used.update({keyword.arg: name for keyword in call.keywords if keyword.arg})
            # What is described in place: `lambda record: {"offset": record.offset}`.
            used.update({key: name for node in ast.walk(call) for key in keys_of(node)})
        for node in nodes(module):
            if isinstance(node, ast.FunctionDef) and node.name in DESCRIBING:
                used.update({key: name for inner in ast.walk(node) for key in keys_of(inner)})
    known = documented()
    assert {field: module for field, module in used.items() if field not in known | OPTIONS} == {}
    assert {"site_id", "gallery_id", "command_id", "event_id", "request_id", "trace_id"} <= known


def keys_of(node: ast.AST) -> list[str]:
    """The constant keys of a dictionary."""
    if not isinstance(node, ast.Dict):
        return []
    return [key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
