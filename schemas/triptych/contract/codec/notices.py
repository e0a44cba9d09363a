"""Encodes and decodes notices: the projector tells one gateway which of its writes the read model shows.

A notice is a record on the gateway's reply topic (`Topics.gateway_replies`). Only services of Triptych use it. It may
be lost: a gateway that gets none in time queries the views instead.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
import uuid_utils

from triptych.contract.codec.cloudevents import SPECVERSION
from triptych.contract.codec.envelope import Message

NOTICE_TYPE = b"triptych.shown.v1"
"""The CloudEvents type of a notice, as the header has it."""
NOTICE_GALLERIES_MAX = 1_000
"""Galleries in one notice, so that it stays below 150 kB without items."""
NOTICE_ITEMS_BYTES = 64 * 1024
"""The most bytes of items in one notice."""


class Shown(NamedTuple):
    """The read model shows a gallery of a site at this sequence, or at a later one.

    `items` are some of the items that the gateway has changed, in wire form, as the read model has them at the
    sequence. Any of them may be left out. Whoever encodes a notice may give them as `orjson.Fragment`.
    """

    site_id: str
    gallery_id: str
    sequence: int
    items: tuple[Any, ...] = ()


def encode_notice(shown: Sequence[Shown]) -> Message:
    """The record of a notice about at most `NOTICE_GALLERIES_MAX` galleries. Its key is its id: no order matters."""
    notice_id = str(uuid_utils.uuid7()).encode()
    content: dict[str, Any] = {"shown": [one[:3] for one in shown]}
    if items := {one.gallery_id: one.items for one in shown if one.items}:
        content["items"] = items
    return Message(
        key=notice_id,
        value=orjson.dumps(content),
        headers=(
            ("ce_specversion", SPECVERSION.encode()),
            ("ce_id", notice_id),
            ("ce_type", NOTICE_TYPE),
            ("ce_source", b"triptych/projector"),
            ("content-type", b"application/json"),
        ),
    )


def decode_notice(value: bytes) -> list[Shown]:
    """The content of a notice. Raises ValueError, KeyError or TypeError if it is not one."""
    content = orjson.loads(value)
    shown, items = content["shown"], dict(content.get("items", {}))
    return [
        Shown(str(site_id), str(gallery_id), int(sequence), tuple(map(_item, items.get(gallery_id, ()))))
        for site_id, gallery_id, sequence in shown
    ]


def _item(value: Any) -> dict[str, Any]:
    return {**value, "id": str(value["id"])}
