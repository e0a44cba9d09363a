"""Encodes and decodes notices: the projector tells one gateway which of its writes the read model shows.

A notice is a record on the gateway's reply topic (`Topics.gateway_replies`). Only services of Triptych use it. It may
be lost: a gateway that gets none in time queries the views instead.
"""

from collections.abc import Sequence
from typing import NamedTuple

import orjson
import uuid_utils

from triptych.contract.codec.cloudevents import SPECVERSION
from triptych.contract.codec.envelope import Message

NOTICE_TYPE = b"triptych.shown.v1"
"""The CloudEvents type of a notice, as the header has it."""
NOTICE_GALLERIES_MAX = 1_000
"""Galleries in one notice, so that it stays below 150 kB."""


class Shown(NamedTuple):
    """The read model shows a gallery of a site at this sequence, or at a later one."""

    site_id: str
    gallery_id: str
    sequence: int


def encode_notice(shown: Sequence[Shown]) -> Message:
    """The record of a notice about at most `NOTICE_GALLERIES_MAX` galleries. Its key is its id: no order matters."""
    notice_id = str(uuid_utils.uuid7()).encode()
    return Message(
        key=notice_id,
        value=orjson.dumps({"shown": [list(one) for one in shown]}),
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
    return [
        Shown(str(site_id), str(gallery_id), int(sequence))
        for site_id, gallery_id, sequence in orjson.loads(value)["shown"]
    ]
