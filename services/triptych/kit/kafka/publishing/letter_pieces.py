"""Takes a dead letter apart that is larger than its topic takes, and puts it together again, byte for byte."""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import orjson

from triptych.kit.failures import TransientFailure
from triptych.kit.kafka.clients import BATCH_BYTES
from triptych.kit.kafka.publishing.record_batches import OutgoingRecord
from triptych.kit.kafka.publishing.record_sizes import bound

Headers: TypeAlias = tuple[tuple[str, bytes], ...]
PIECE_HEADER = "dead-letter-part"
"""Header of a part: its number, from 1, a slash, and how many there are."""
LEAST_BYTES = 1_024


def split_letter(letter: OutgoingRecord, added: Headers, limit: int) -> list[OutgoingRecord]:
    """The parts of a letter.

    Their values, joined in order, are a JSON object with `key`, `value` and `headers` (pairs) of the refused record in
    base64. Each has the added headers, its number, and the origin as its key.

    Args:
        letter: the refused record and, last, the added headers.
        added: those headers, the origin first.
        limit: bytes that a batch for the letter's topic may have.

    Raises:
        TransientFailure: the limit is too low even for parts, until it is raised.
    """
    key = added[0][1]
    room = min(BATCH_BYTES, (limit - bound(key, b"", (*added, (PIECE_HEADER, bytes(20))))) * 6 // 7)
    if room < LEAST_BYTES:
        raise TransientFailure(f"topic {letter.topic} takes batches of {limit} bytes only: too few for dead letters")
    original = letter.headers[: len(letter.headers) - len(added)]
    document = orjson.dumps(
        {
            "key": _text(letter.key),
            "value": _text(letter.value),
            "headers": [[_text(_name(name)), _text(text)] for name, text in original],
        }
    )
    chunks = [document[start : start + room] for start in range(0, len(document), room)]
    return [
        letter._replace(key=key, value=chunk, headers=(*added, (PIECE_HEADER, f"{number}/{len(chunks)}".encode())))
        for number, chunk in enumerate(chunks, 1)
    ]


def join_letter(values: Iterable[bytes]) -> tuple[bytes | None, bytes | None, Sequence[tuple[bytes, bytes | None]]]:
    """Key, value and headers of the refused record, from the values of its letter's parts in order."""
    document = orjson.loads(b"".join(values))
    headers = [(_bytes(name) or b"", _bytes(text)) for name, text in document["headers"]]
    return _bytes(document["key"]), _bytes(document["value"]), headers


def _name(name: str | bytes) -> bytes:
    return name.encode(errors="surrogateescape") if isinstance(name, str) else name


def _text(content: bytes | None) -> str | None:
    return None if content is None else b64encode(content).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)
