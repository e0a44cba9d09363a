"""Splits a dead letter that is too large for its topic into pieces, and joins them again byte for byte."""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence

import orjson

from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.clients import BATCH_BYTES
from triptych.kit.kafka.publishing.letter_headers import PIECE, Headers
from triptych.kit.kafka.publishing.record_batches import OutgoingRecord
from triptych.kit.kafka.publishing.record_sizes import bound

LEAST_BYTES = 1_024
"""Smallest useful size of a piece."""


def split_letter(letter: OutgoingRecord, added: Headers, limit: int) -> list[OutgoingRecord]:
    """The pieces of a dead letter.

    The values of the pieces, joined in order, are a JSON object with `key`, `value` and `headers` (pairs) of the
    refused record in base64. Each piece has the added headers, its number, and the origin as its key.

    Args:
        letter: the refused record; the added headers are its last ones.
        added: the added headers, the origin first.
        limit: bytes that a batch for the letter's topic may have.

    Raises:
        TransientFailure: the limit is too low even for pieces; it has to be raised.
    """
    key = added[0][1]
    piece_bytes = min(BATCH_BYTES, (limit - bound(key, b"", (*added, (PIECE, bytes(20))))) * 6 // 7)
    if piece_bytes < LEAST_BYTES:
        raise TransientFailure(f"topic {letter.topic} takes batches of {limit} bytes only: too few for dead letters")
    original = letter.headers[: len(letter.headers) - len(added)]
    document = orjson.dumps(
        {
            "key": _to_base64(letter.key),
            "value": _to_base64(letter.value),
            "headers": [[_to_base64(_name_bytes(name)), _to_base64(text)] for name, text in original],
        }
    )
    pieces = [document[start : start + piece_bytes] for start in range(0, len(document), piece_bytes)]
    return [
        letter._replace(key=key, value=piece, headers=(*added, (PIECE, f"{number}/{len(pieces)}".encode())))
        for number, piece in enumerate(pieces, 1)
    ]


def join_letter(values: Iterable[bytes]) -> tuple[bytes | None, bytes | None, Sequence[tuple[bytes, bytes | None]]]:
    """Key, value and headers of the refused record, from the values of its dead letter's pieces in order."""
    document = orjson.loads(b"".join(values))
    headers = [(_from_base64(name) or b"", _from_base64(text)) for name, text in document["headers"]]
    return _from_base64(document["key"]), _from_base64(document["value"]), headers


def _name_bytes(name: str | bytes) -> bytes:
    return name.encode(errors="surrogateescape") if isinstance(name, str) else name


def _to_base64(content: bytes | None) -> str | None:
    return None if content is None else b64encode(content).decode()


def _from_base64(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)
