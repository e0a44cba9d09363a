"""A service that kills itself with SIGKILL at a named point of its work, as soon as a file names that point.

The program wraps functions of the service, and then starts the service as it is. So the product has no setting that
could kill it, and nothing of this costs anything in production.
"""

import importlib
import inspect
import os
import runpy
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, Literal, NamedTuple

VARIABLE = "TRIPTYCH_TEST_DIE_AT"
"""Names the file, which has a line as `order` makes it. While the file is missing, the service works as usual."""


class Place(NamedTuple):
    """A function by its module and its name there, and the side of it at which the process dies."""

    module: str
    name: str
    side: Literal["before", "after"]


_COMMIT = "triptych.kit.mongo.transactions", "_commit"
_ACKNOWLEDGED = Place("aiokafka.producer.sender", "SendProduceReqHandler.handle_response", "before")
"""Kafka has stored the records, and the process does not learn it."""
_OFFSETS = "triptych.kit.kafka.consuming.commits", "OffsetCommits._commit"
_CLAIM = "triptych.kit.mongo.fencing", "Ownership.claim"
_MARK = "triptych.command.store.outbox", "Outbox._acknowledge"
_ARCHIVE = "triptych.projector.history.archive", "Archive.save"
_TO_COMMANDS = "triptych.gateway.writing.command_sender", "CommandSender._publish"

POINTS: Mapping[str, Mapping[str, Place]] = {
    "command": {
        "before the commit": Place(*_COMMIT, "before"),
        "after the commit": Place(*_COMMIT, "after"),
        "after Kafka has stored the events": _ACKNOWLEDGED,
        "after the events are published": Place("triptych.command.flow.writer", "ExclusiveWriter.publish", "after"),
        "before the mark in the outbox": Place(*_MARK, "before"),
        "after the mark in the outbox": Place(*_MARK, "after"),
        "before the commit of offsets": Place(*_OFFSETS, "before"),
        "after the commit of offsets": Place(*_OFFSETS, "after"),
        "before the claim": Place(*_CLAIM, "before"),
        "after the claim": Place(*_CLAIM, "after"),
        "after the events that were left": Place("triptych.command.store.outbox", "Outbox.flush", "after"),
    },
    "projector": {
        "before the commit": Place(*_COMMIT, "before"),
        "after the commit": Place(*_COMMIT, "after"),
        "after Kafka has stored the join": _ACKNOWLEDGED,
        "after the join is published": Place("triptych.projector.join.audit", "AuditedJoinPublisher.publish", "after"),
        "before the commit of offsets": Place(*_OFFSETS, "before"),
        "after the commit of offsets": Place(*_OFFSETS, "after"),
        "before the history is stored": Place(*_ARCHIVE, "before"),
        "amid the storing of the history": Place("triptych.projector.history.archive", "Archive._insert", "after"),
        "after the history is stored": Place(*_ARCHIVE, "after"),
        "after the claim": Place(*_CLAIM, "after"),
    },
    "webhooks": {
        "amid the storing of deliveries": Place("triptych.webhooks.store.deliveries", "insert_new", "after"),
        "after the receiver has answered": Place("triptych.webhooks.relay.sender", "DeliverySender.send", "after"),
        "before the commit of offsets": Place(*_OFFSETS, "before"),
        "after the commit of offsets": Place(*_OFFSETS, "after"),
    },
    "gateway": {
        "before the command is sent": Place(*_TO_COMMANDS, "before"),
        "after Kafka has stored the command": _ACKNOWLEDGED,
        "after the command is sent": Place(*_TO_COMMANDS, "after"),
        "before the reply is read": Place("triptych.gateway.writing.replies", "ReplyTopic.receive", "before"),
    },
}


def order(service: str, point: str) -> str:
    """What the file has to say to make this service die at this point. Services have points of the same name."""
    return f"{service}: {point}"


def _mortal(function: Callable[..., Any], ordered: str, side: str, file: Path) -> Callable[..., Any]:
    """Wrap a function: the process dies before or after it if the file says so."""

    def die() -> None:
        if file.exists() and file.read_text() == ordered:
            os.kill(os.getpid(), signal.SIGKILL)

    @wraps(function)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        if side == "before":
            die()
        done: Awaitable[Any] = function(*args, **kwargs)
        result = await done
        if side == "after":
            die()
        return result

    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        if side == "before":
            die()
        result = function(*args, **kwargs)
        if side == "after":
            die()
        return result

    return awaited if inspect.iscoroutinefunction(function) else called


def _install(service: str, file: Path) -> None:
    for point, place in POINTS[service].items():
        owner: Any = importlib.import_module(place.module)
        *path, name = place.name.split(".")
        for part in path:
            owner = getattr(owner, part)
        setattr(owner, name, _mortal(getattr(owner, name), order(service, point), place.side, file))


if __name__ == "__main__":
    _service = sys.argv[1]
    importlib.import_module(f"triptych.{_service}.app")
    _install(_service, Path(os.environ[VARIABLE]))
    sys.argv = [f"triptych.{_service}"]
    runpy.run_module(f"triptych.{_service}", run_name="__main__", alter_sys=True)
