"""Stores values of JSON that are somebody else's, so that no spelling in them has a meaning to MongoDB or its driver.

The driver reads `{"$ref": ..., "$id": ...}` as a reference; MongoDB limits keys, numbers and depth. A value that is
stored as the bytes of its JSON text has none of that. Documents without such values cost nothing but a look at them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import orjson

FieldPath: TypeAlias = tuple[str, str]
"""Where such a value may be: a member of a document that is an object, and a member of that."""


def pack(document: Mapping[str, Any], places: Sequence[FieldPath]) -> Mapping[str, Any]:
    """The document to store: the same one, or a copy with bytes in these places."""
    for outer, inner in places:
        holder = document.get(outer)
        if isinstance(holder, Mapping) and inner in holder:
            document = {**document, outer: {**holder, inner: orjson.dumps(holder[inner])}}
    return document


def unpack(stored: dict[str, Any], places: Sequence[FieldPath]) -> dict[str, Any]:
    """The document as it was before it was packed; `stored` is changed, and stays as it is if that was done before.

    Documents that were stored before there was this module have plain objects in these places, or references.
    """
    for outer, inner in places:
        holder = stored.get(outer)
        if isinstance(holder, dict) and inner in holder:
            value = holder[inner]
            holder[inner] = orjson.loads(value) if isinstance(value, bytes) else _plain(value)
    return stored


def _plain(value: Any) -> Any:
    if hasattr(value, "as_doc"):  # the driver's reference
        value = value.as_doc()
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value
