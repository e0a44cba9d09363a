"""Generates the reference pages of docs/ from the code. `make reference` writes them; a test compares them."""

import sys
from collections.abc import Iterable, Iterator
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from triptych.cli.command_reference import commands_page
from triptych.cli.metrics_reference import metrics_page
from triptych.cli.setting_descriptions import descriptions
from triptych.cli.settings import SETTINGS_OF, Process
from triptych.kit.process.secrets import is_secret
from triptych.kit.process.settings import PREFIX

GENERATED = "<!-- Generated from the code by `make reference`; edit the code instead. -->"
_SERVICES = [process.value for process in Process if process is not Process.CLI]
_UNITS = (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def pages() -> dict[str, str]:
    """The text of every generated page, by its file name in docs/."""
    return {
        "settings.md": settings_page(),
        "metrics.md": metrics_page(GENERATED),
        "command-line.md": commands_page(GENERATED),
    }


def settings_page() -> str:
    """The page of settings: environment variable, type, default, the processes that read it, and meaning."""
    rows: dict[str, list[tuple[str, FieldInfo, str]]] = {}
    for process, kind in SETTINGS_OF.items():
        described = descriptions(kind)
        for name, field in kind.model_fields.items():
            rows.setdefault(name, []).append((process, field, described.get(name, "")))
    return "\n".join(
        [
            GENERATED,
            "",
            "# Settings",
            "",
            "Each process reads its settings from environment variables and checks all of them at start. A wrong",
            "value ends it with status 78; the message names the variable and never its value. A duration is a",
            "number of seconds or ISO 8601 (`P30D`). The command line reads the settings of all services, and",
            "`make up` passes its environment on to them. A secret can be read from a file instead: `…_FILE` names it,",
            "as in `TRIPTYCH_KAFKA_PASSWORD_FILE=/run/secrets/kafka` ([security](security.md#secrets-from-files)).",
            "The local stack reads [a few more](architecture/README.md#settings).",
            "",
            "| variable | type | default | read by | meaning |",
            "|---|---|---|---|---|",
            *(row for name, found in rows.items() for row in _setting(name, found)),
            "",
        ]
    )


def _setting(name: str, found: list[tuple[str, FieldInfo, str]]) -> Iterator[str]:
    """The row of a setting, or one row for each default if processes differ."""
    groups: dict[tuple[str, str], list[tuple[str, FieldInfo]]] = {}
    for process, field, description in found:
        groups.setdefault((_default(field), description), []).append((process, field))
    for (default, description), members in groups.items():
        read_by = [process for process, _ in members]
        cells = (f"`{PREFIX}{name.upper()}`", _type(members[0][1]), default, _processes(read_by), description)
        yield "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def _processes(names: Iterable[str]) -> str:
    """The processes that read a setting. The command line is named only if no service reads it."""
    services = [name for name in names if name in _SERVICES]
    if not services:
        return "command line"
    return "all" if services == _SERVICES else ", ".join(services)


def _type(field: FieldInfo) -> str:
    bounds = {
        kind: getattr(bound, kind) for bound in field.metadata for kind in ("ge", "gt", "le") if hasattr(bound, kind)
    }
    name = "secret" if is_secret(field) else _named(field.annotation)
    if "ge" in bounds and "le" in bounds:
        return f"{name}, {_value(bounds['ge'])} to {_value(bounds['le'])}"
    if "ge" in bounds:
        return f"{name}, at least {_value(bounds['ge'])}"
    return f"{name}, more than {_value(bounds['gt'])}" if "gt" in bounds else name


def _named(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        return _named(get_args(annotation)[0])
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) is tuple:
        return "list"
    present = [member for member in get_args(annotation) if member is not type(None)]
    if present:
        return " or ".join(_named(member) for member in present)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(f"`{member.value}`" for member in annotation)
    names: dict[Any, str] = {int: "whole number", str: "text", bool: "`true` or `false`", timedelta: "duration"}
    return "secret" if annotation is SecretStr else {**names, Path: "file"}[annotation]


def _default(field: FieldInfo) -> str:
    if field.default is None or field.default in ("", ()):
        return "unset"
    return "not shown" if isinstance(field.default, SecretStr) else _value(field.default)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        name, size = next((unit for unit in _UNITS if seconds and seconds % unit[1] == 0), _UNITS[-1])
        count = seconds / size
        return f"{count:g} {name}" + ("s" if name == "day" and count != 1 else "")
    if isinstance(value, tuple):
        return ", ".join(_value(member) for member in value)
    return f"`{value.value if isinstance(value, Enum) else value}`"


def outdated(directory: Path) -> list[str]:
    """The names of pages that are missing in `directory` or differ from the code."""
    return [
        name
        for name, text in pages().items()
        if not (directory / name).is_file() or (directory / name).read_text(encoding="utf-8") != text
    ]


def write(directory: Path) -> None:
    """Write all pages into `directory`."""
    for name, text in pages().items():
        directory.joinpath(name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
