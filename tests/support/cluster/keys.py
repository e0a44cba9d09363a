"""Computes, without I/O, on which shard a document is, as MongoDB does for hashed shard keys."""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# The order of BSON's types, in which numbers of all types are one (server source: canonicalizeBSONType).
_END, _NUMBER, _STRING, _DOCUMENT = 0, 10, 15, 20
LOWEST, HIGHEST = -(2**63), 2**63


def hash_of(value: Any) -> int:
    """The number by which MongoDB places a text, a number or a document of these (server source: BSONElementHasher)."""
    return int(struct.unpack_from("<q", hashlib.md5(_int(0) + _content(value), usedforsecurity=False).digest())[0])


def _content(value: Any, name: str | None = None) -> bytes:
    label = b"" if name is None else name.encode() + b"\0"
    if isinstance(value, str):
        text = value.encode() + b"\0"
        return _int(_STRING) + label + _int(len(text)) + text
    if isinstance(value, Mapping):
        fields = b"".join(_content(field, name) for name, field in value.items())
        return _int(_DOCUMENT) + label + fields + _int(_END)
    return _int(_NUMBER) + label + struct.pack("<q", int(min(max(value, LOWEST), HIGHEST - 1)))


def _int(number: int) -> bytes:
    return struct.pack("<i", number)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the documents of a divided collection are.

    Attributes:
        field: the shard key.
        chunks: ranges of hashes, from and up to, each with its shard.
    """

    field: str
    chunks: Sequence[tuple[int, int, str]]

    def shard_of(self, value: Any) -> str:
        """The shard of the documents that have this value as their key."""
        number = hash_of(value)
        return next(shard for low, high, shard in self.chunks if low <= number < high)

    def shards_of(self, query: Mapping[str, Any]) -> set[str]:
        """The shards on which documents may match a filter."""
        condition = query.get(self.field)
        is_condition = isinstance(condition, Mapping) and any(name.startswith("$") for name in condition)
        if condition is not None and not is_condition:
            return {self.shard_of(condition)}
        if isinstance(condition, Mapping) and condition.keys() == {"$in"}:
            return {self.shard_of(value) for value in condition["$in"]}
        return {shard for _, _, shard in self.chunks}
