"""Says what the readers of this build understand of a wire example."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from triptych.contract.base import WireModel
from triptych.contract.codec.envelope import decode_command, gallery_id_of
from triptych.contract.codec.events import decode_event
from triptych.contract.domain_event import DomainEvent
from triptych.contract.exports import GalleryLine, ItemLine
from triptych.contract.joined import GalleryRecord, ItemRecord
from triptych.contract.replies import Reply
from triptych.contract.snapshots import decode_snapshot


class Example(NamedTuple):
    """One record on the wire.

    Key and headers are text, since all of ours are UTF-8. A tombstone has the value None. `meaning` is what a reader of
    this build understands: for a command its identity and data, and for any other record its fields.
    """

    name: str
    key: str | None
    headers: Mapping[str, str]
    value: Any
    meaning: Any


def meaning_of(file_name: str, example: Example) -> Any:
    """What the readers of this build understand. Raises what they raise if they refuse the record."""
    return orjson.loads(orjson.dumps(_READERS[file_name.split("/")[0]](file_name, example)))


def _read_command(_: str, example: Example) -> Any:
    headers = [(name, text.encode()) for name, text in example.headers.items()]
    envelope = decode_command(orjson.dumps(example.value), headers)
    identity = envelope._asdict()
    return {
        **{name: value for name, value in identity.items() if name != "data" and value is not None},
        "gallery_id": gallery_id_of(envelope),
        "data": envelope.data.to_wire(),
    }


def _read_event(_: str, example: Example) -> Any:
    value = orjson.dumps(example.value)
    if "snapshotId" in example.value:
        return decode_snapshot(value).to_wire()
    complete = DomainEvent.model_validate_json(value).to_wire()
    fast = decode_event(value)._asdict()
    del fast["body"]
    return {**complete, "read": fast}


def _read_body(_: str, example: Example) -> Any:
    """A body is read as the event that it has inside."""
    body = example.value
    event = DomainEvent.model_validate_json(orjson.dumps({"eventType": body["type"], **body["data"]}))
    return {"timestamp": body["timestamp"], **event.to_wire()}


def _reader(models: Mapping[str, type[WireModel]]) -> Callable[[str, Example], Any]:
    def read(file_name: str, example: Example) -> Any:
        model = models[file_name.split("/")[1].removesuffix(".json")]
        return None if example.value is None else model.model_validate_json(orjson.dumps(example.value)).to_wire()

    return read


_READERS: dict[str, Callable[[str, Example], Any]] = {
    "commands": _read_command,
    "replies": _reader({"Reply": Reply}),
    "events": _read_event,
    "galleries": _reader({"GalleryRecord": GalleryRecord, "ItemRecord": ItemRecord}),
    "exports": _reader({"GalleryLine": GalleryLine, "ItemLine": ItemLine}),
    "webhooks": _read_body,
}
