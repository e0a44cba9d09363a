"""Decides, purely, whether the contract of this build keeps what a released version has promised."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

from pydantic import ValidationError

from triptych.contract.codec.command_records import InvalidCommand
from triptych.contract.publishing.compatibility import Direction, Rule, Schema, compare
from triptych.contract.publishing.example_meaning import Example

Problem: TypeAlias = tuple[str, str]
"""A field path and what is wrong with the field."""
Validate: TypeAlias = Callable[[Schema, Any], Sequence[Problem]]
"""What a JSON Schema finds wrong with a value."""
Read: TypeAlias = Callable[[str, Example], Any]
"""What this build understands of an example of a file; see `example_meaning.meaning_of`. It may raise anything."""

_ABSENT = object()
_ANNOTATIONS = ("title", "description")


class WireRule(StrEnum):
    """The rules for records and their wire examples; `schemas/README.md` explains them."""

    RECORD_REMOVED = "record-removed"
    EXAMPLE_REMOVED = "example-removed"
    EXAMPLE_REFUSED = "example-refused"
    MEANING_CHANGED = "meaning-changed"
    WIRE_CHANGED = "wire-changed"
    OLD_READER_REFUSES = "old-reader-refuses"
    VERSION_NOT_RAISED = "version-not-raised"


class Contract(NamedTuple):
    """A version of the contract: the JSON Schemas and wire examples of its records, by file name."""

    version: str
    schemas: Mapping[str, Schema]
    examples: Mapping[str, Sequence[Example]]


@dataclass(frozen=True, slots=True)
class Failure:
    """A broken promise. `record` is a name such as `commands/MoveItem`; `example` is None if the schema breaks it."""

    version: str
    record: str
    example: str | None
    field: str
    rule: Rule | WireRule
    detail: str

    def __str__(self) -> str:
        example = f", example {self.example}" if self.example else ""
        return f"{self.record}{example}, field {self.field}: {self.rule}: {self.detail} (released in {self.version})"


def direction_of(file_name: str) -> Direction:
    """Whether Triptych reads the record of this file (input) or writes it (output)."""
    return "input" if file_name.startswith("commands/") else "output"


def check(released: Contract, present: Contract, validate: Validate, read: Read) -> list[Failure]:
    """What `present` breaks of `released`: schemas, and wire examples in both directions; empty if nothing."""
    return [
        *_version_failures(released, present),
        *_schema_failures(released, present),
        *_read_failures(released, present, read),
        *_written_failures(released, present, validate),
    ]


def _version_failures(released: Contract, present: Contract) -> Iterator[Failure]:
    """A version number stands for one contract. Titles and descriptions may change without a new one."""
    if released.version != present.version:
        return
    for name, schema in present.schemas.items():
        if _bare(released.schemas.get(name)) != _bare(schema):
            detail = f"the schema differs from the released one; raise CONTRACT_VERSION above {present.version}"
            yield Failure(released.version, _record(name), None, "root", WireRule.VERSION_NOT_RAISED, detail)


def _schema_failures(released: Contract, present: Contract) -> Iterator[Failure]:
    for name, old in released.schemas.items():
        record, new = _record(name), present.schemas.get(name)
        if new is None:
            yield Failure(released.version, record, None, "root", WireRule.RECORD_REMOVED, "has no schema any more")
            continue
        for found in compare(old, new, direction_of(name)):
            yield Failure(released.version, record, None, found.field, found.rule, found.detail)


def _read_failures(released: Contract, present: Contract, read: Read) -> Iterator[Failure]:
    """Old records stay readable: commands of old producers, events on the topic, joined records, exported lines."""
    for name, examples in released.examples.items():
        if name not in present.schemas:
            continue
        for old in examples:
            try:
                meaning = read(name, old)
            except Exception as error:  # noqa: BLE001 - whatever a reader raises, it does not read the record
                field, detail = _reason(error)
                rule = WireRule.EXAMPLE_REFUSED
                yield Failure(released.version, _record(name), old.name, field, rule, detail)
                continue
            for field, detail in _lost(old.meaning, meaning):
                rule = WireRule.MEANING_CHANGED
                yield Failure(released.version, _record(name), old.name, field, rule, detail)


def _written_failures(released: Contract, present: Contract, validate: Validate) -> Iterator[Failure]:
    """What this build writes is valid for old readers, and has the same keys, headers and forms as before."""
    for name, old_schema in released.schemas.items():
        if direction_of(name) == "input":
            continue
        record, written = _record(name), {example.name: example for example in present.examples.get(name, ())}
        for example in written.values():
            problems = () if example.value is None else validate(old_schema, example.value)
            for field, detail in problems:
                rule = WireRule.OLD_READER_REFUSES
                yield Failure(released.version, record, example.name, field or "root", rule, detail)
        for old in released.examples.get(name, ()):
            if (new := written.get(old.name)) is None:
                detail = "is not made any more; keep its content, so that its wire form is compared"
                yield Failure(released.version, record, old.name, "root", WireRule.EXAMPLE_REMOVED, detail)
                continue
            for part in ("key", "headers", "value"):
                for field, detail in _lost(getattr(old, part), getattr(new, part), part):
                    rule = WireRule.WIRE_CHANGED
                    yield Failure(released.version, record, old.name, field, rule, detail)


def _lost(old: Any, new: Any, path: str = "") -> Iterator[Problem]:
    """What `old` says and `new` does not say; further fields of `new` are additions."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key, member in old.items():
            here = f"{path}.{key}" if path else key
            if key in new:
                yield from _lost(member, new[key], here)
            else:
                yield here, "is gone"
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _lost(before, after, f"{path}[{index}]")
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield path or "root", f"was {old!r}, is {new!r}"


def _reason(error: Exception) -> Problem:
    """The first field that a refusal names, for `InvalidCommand` and pydantic's errors, and what is wrong with it."""
    if isinstance(error, InvalidCommand) and error.violations:
        violation = error.violations[0]
        return violation.field or "root", violation.description
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_context=False)[0]
        return ".".join(map(str, first["loc"])) or "root", first["msg"]
    return "root", " ".join(str(error).split()) or type(error).__name__


def _bare(schema: Any) -> Any:
    """The schema without its titles and descriptions. A field may be called `title`: its value is no text."""
    if isinstance(schema, list):
        return [_bare(element) for element in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        key: _bare(member) for key, member in schema.items() if not (key in _ANNOTATIONS and isinstance(member, str))
    }


def _record(file_name: str) -> str:
    return file_name.removesuffix(".json")
