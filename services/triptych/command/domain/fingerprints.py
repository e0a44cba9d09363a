"""Fingerprints of requests: whether a command under a known key is the same request or another one; pure."""

import json
from hashlib import blake2b
from typing import Any

import orjson

from triptych.contract.codec.envelope import CommandEnvelope

_BYTES = 16


def fingerprint_of(envelope: CommandEnvelope, wire: dict[str, Any] | None = None) -> str:
    """The same for two commands exactly if they ask for the same: type, `request`, and data as it was understood.

    Spelling does not count: order of keys, white space, the mode of the event, forms of a GUID, fields that no command
    has. `wire` is the data in wire form, for callers that have it: making it costs more than the rest.
    """
    request = envelope.request or ""
    about = f"{envelope.name}\n{len(request)}\n{request}\n".encode()
    data = _canonical(envelope.data.to_wire() if wire is None else wire)
    return blake2b(about + data, digest_size=_BYTES).hexdigest()


def _canonical(wire: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(wire, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer beyond 64 bits
        return json.dumps(wire, sort_keys=True, separators=(",", ":")).encode()
