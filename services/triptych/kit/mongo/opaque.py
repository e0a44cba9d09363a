"""Stores free-form JSON values of clients as bytes, so that MongoDB and its driver do not interpret their content.

The driver reads `{"$ref": ..., "$id": ...}` as a reference; MongoDB limits keys, numbers and depth. Neither applies to
a value that is stored as the bytes of its JSON text. A document without such values costs only the check.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import orjson

FieldPath: TypeAlias = tuple[str, str]
"""Where a free-form value may be: the name of a document's member that is an object, and of a member of that object."""


def pack(document: Mapping[str, Any], paths: Sequence[FieldPath]) -> Mapping[str, Any]:
    """The document to store: the same one, or a copy with bytes at these paths."""
    for outer, inner in paths:
        parent = document.get(outer)
        if isinstance(parent, dict) and inner in parent:
            document = {**document, outer: {**parent, inner: orjson.dumps(parent[inner])}}
    return document


def unpack(stored: dict[str, Any], paths: Sequence[FieldPath]) -> dict[str, Any]:
    """The document as it was before `pack`. Changes `stored` in place; a second call changes nothing.

    A document of an earlier version has plain objects or references at these paths.
    """
    for outer, inner in paths:
        parent = stored.get(outer)
        if isinstance(parent, dict) and inner in parent:
            value = parent[inner]
            parent[inner] = orjson.loads(value) if isinstance(value, bytes) else _plain(value)
    return stored


def _plain(value: Any) -> Any:
    if hasattr(value, "as_doc"):  # the driver's reference
        value = value.as_doc()
    if isinstance(value, Mapping):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_plain(element) for element in value]
    return value
