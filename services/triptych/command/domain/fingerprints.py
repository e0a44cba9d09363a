"""Computes fingerprints of requests, which distinguish a repeated command from another request under its key; pure."""

import json
from hashlib import blake2b
from typing import Any

import orjson

from triptych.contract.codec.envelope import CommandEnvelope

_BYTES = 16


def fingerprint_of(envelope: CommandEnvelope, wire: dict[str, Any] | None = None) -> str:
    """The fingerprint of a command: a hash of its type, its `request` attribute and its data as understood.

    Two commands have the same fingerprint exactly if they ask for the same. Spelling does not count: order of keys,
    white space, the mode of the event, forms of a GUID, unknown fields. Callers that have the data in wire form pass
    it as `wire`: making it costs more than the rest.
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
