"""Registers schemas that a registry does not have yet, and says what it did for each subject."""

from collections.abc import AsyncIterator, Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from triptych.cli.schemas.registry import Registry, SchemaRefused
from triptych.cli.schemas.subjects import Subject


class State(StrEnum):
    """What was done for a subject, or would be done."""

    REGISTERED = "registered"
    UNCHANGED = "unchanged"
    WOULD_REGISTER = "would-register"
    REFUSED = "refused"


class Outcome(NamedTuple):
    """The state of a subject. `level` is its compatibility level if it was set, or would be; else None."""

    subject: str
    state: State
    level: str | None
    detail: str

    def to_wire(self) -> dict[str, Any]:
        """The outcome as scripts read it."""
        return {**self._asdict(), "state": self.state.value}

    def to_line(self) -> str:
        """The outcome as people read it."""
        level = f"compatibility {self.level}" if self.level else ""
        return "  ".join(part for part in (f"{self.state:<14}", self.subject, self.detail, level) if part)


async def register_all(registry: Registry, subjects: Iterable[Subject], *, dry_run: bool) -> AsyncIterator[Outcome]:
    """Register each schema that its subject does not have; a refusal of one does not stop the others.

    A repetition changes nothing. With `dry_run`, nothing is changed at all. Raises what the methods of `Registry`
    raise.
    """
    for subject in subjects:
        try:
            yield await _register(registry, subject, dry_run)
        except SchemaRefused as refusal:
            yield Outcome(subject.name, State.REFUSED, None, str(refusal))


async def _register(registry: Registry, subject: Subject, dry_run: bool) -> Outcome:
    version = await registry.find(subject.name, subject.schema)
    level = None if await registry.level(subject.name) == subject.level else subject.level
    # The level comes first: the registry judges the new version by it.
    if level is not None and not dry_run:
        await registry.set_level(subject.name, level)
    if version is not None:
        return Outcome(subject.name, State.UNCHANGED, level, f"version {version}")
    if not dry_run:
        registered = await registry.register(subject.name, subject.schema)
        return Outcome(subject.name, State.REGISTERED, level, f"id {registered}")
    # As long as the subject has another level, the registry would judge by a wrong one.
    objections = [] if level is not None else await registry.objections(subject.name, subject.schema)
    if objections:
        return Outcome(subject.name, State.REFUSED, level, "; ".join(objections))
    return Outcome(subject.name, State.WOULD_REGISTER, level, "")
