"""Decides, as MongoDB does, which documents a filter finds, in which order, and with which fields.

Only the operators that the simulated services use are known; any other one is an error of the simulation.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from tests.support.simulation.mongo.expressions import MISSING, evaluate, rank

Document = dict[str, Any]
_CONTAINERS = (dict, list)


def copied(value: Any) -> Any:
    """A copy of what is stored, which the caller may change: everything but objects and arrays is immutable."""
    kind = type(value)
    if kind is dict:
        return {name: copied(one) if type(one) in _CONTAINERS else one for name, one in value.items()}
    if kind is list:
        return [copied(one) if type(one) in _CONTAINERS else one for one in value]
    return value


def values_at(document: Any, path: str) -> Any:
    """The value at a dotted path, or MISSING; of an array of objects, the values of all that have one."""
    if "." not in path:
        return document.get(path, MISSING) if type(document) is dict else MISSING
    value = document
    names = path.split(".")
    for number, name in enumerate(names, 1):
        if isinstance(value, list) and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        elif isinstance(value, list) and not name.isdigit():
            rest = ".".join(names[number - 1 :])
            found = [one for element in value if (one := values_at(element, rest)) is not MISSING]
            return found if found or not value else MISSING
        elif isinstance(value, Mapping) and name in value:
            value = value[name]
        else:
            return MISSING
    return value


def matches(document: Mapping[str, Any], query: Mapping[str, Any], now: datetime) -> bool:
    """Whether a filter finds the document."""
    for name, condition in query.items():
        if name == "$or":
            found = any(matches(document, one, now) for one in condition)
        elif name == "$and":
            found = all(matches(document, one, now) for one in condition)
        elif name == "$expr":
            found = bool(evaluate(condition, document, now))
        elif name.startswith("$"):
            raise NotImplementedError(name)
        else:
            found = _fits(values_at(document, name), condition)
        if not found:
            return False
    return True


def _fits(value: Any, condition: Any) -> bool:
    if type(condition) is dict and any(name.startswith("$") for name in condition):
        return all(_OPERATORS[name](value, wanted) for name, wanted in condition.items())
    return _equals(value, condition)


def _equals(value: Any, wanted: Any) -> bool:
    if wanted is None:
        return value is MISSING or value is None
    if value is MISSING:
        return False
    if type(value) is type(wanted) and value == wanted:
        return True
    if type(value) is str and type(wanted) is str:
        return False
    if rank(value) == rank(wanted) and value == wanted:
        return True
    return isinstance(value, list) and any(rank(one) == rank(wanted) and one == wanted for one in value)


def _compared(value: Any, wanted: Any, holds: Callable[[Any, Any], bool]) -> bool:
    candidates = value if isinstance(value, list) else [value]
    return any(one is not MISSING and rank(one) == rank(wanted) and holds(one, wanted) for one in candidates)


_TYPES = {"string": str, "double": float, "object": dict, "date": datetime, "bool": bool}
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": _equals,
    "$ne": lambda value, wanted: not _equals(value, wanted),
    "$in": lambda value, wanted: any(_equals(value, one) for one in wanted),
    "$nin": lambda value, wanted: not any(_equals(value, one) for one in wanted),
    "$gt": lambda value, wanted: _compared(value, wanted, lambda one, other: one > other),
    "$gte": lambda value, wanted: _compared(value, wanted, lambda one, other: one >= other),
    "$lt": lambda value, wanted: _compared(value, wanted, lambda one, other: one < other),
    "$lte": lambda value, wanted: _compared(value, wanted, lambda one, other: one <= other),
    "$exists": lambda value, wanted: (value is not MISSING) == bool(wanted),
    "$type": lambda value, wanted: isinstance(value, _TYPES[wanted]),
    "$regex": lambda value, wanted: isinstance(value, str) and re.search(wanted, value) is not None,
    "$not": lambda value, wanted: not _fits(value, wanted),
}


def in_order(documents: Sequence[Document], keys: Sequence[tuple[str, int]]) -> list[Document]:
    """The documents sorted by dotted paths, each ascending (1) or descending (-1)."""
    found = list(documents)
    for path, direction in reversed(keys):
        found.sort(key=lambda one, path=path: sort_key(values_at(one, path)), reverse=direction < 0)  # type: ignore[misc]
    return found


def sort_key(value: Any) -> tuple[Any, ...]:
    """What sorts values of several types as MongoDB does."""
    if value is MISSING or value is None:
        return (0,)
    if isinstance(value, Mapping):
        return (rank(value), *((name, sort_key(one)) for name, one in value.items()))
    return (rank(value), value)


def projected(document: Document, fields: Mapping[str, Any] | None) -> Document:
    """A copy of the document, with the fields that a projection asks for."""
    if not fields:
        return dict(copied(document))
    chosen = {name: wanted for name, wanted in fields.items() if name != "_id"}
    if chosen and not any(chosen.values()):
        document = copied(document)
        for path in chosen:
            remove(document, path)
        if fields.get("_id", 1) == 0:
            document.pop("_id", None)
        return document
    found: Document = {}
    if fields.get("_id", 1) and "_id" in document:
        found["_id"] = copied(document["_id"])
    for name in document:  # in the order of the document, as MongoDB returns them
        for path in chosen:
            if path.split(".")[0] == name and (value := values_at(document, path)) is not MISSING:
                put(found, path, copied(value))
    return found


def positioned(document: Document, path: str, query: Mapping[str, Any]) -> str:
    """A path with the place of the first array element that the filter has found, instead of `$`."""
    array, is_positional, rest = path.partition(".$.")
    if not is_positional:
        return path
    conditions = {name.removeprefix(f"{array}."): one for name, one in query.items() if name.startswith(f"{array}.")}
    for index, element in enumerate(values_at(document, array)):
        if all(_fits(values_at(element, name), one) for name, one in conditions.items()):
            return f"{array}.{index}.{rest}"
    raise NotImplementedError(path)


def put(document: Document, path: str, value: Any) -> None:
    """Set the value at a dotted path."""
    *outer, last = path.split(".")
    found: Any = document
    for name in outer:
        found = found[int(name)] if isinstance(found, list) else found.setdefault(name, {})
    found[last] = value


def remove(document: Document, path: str) -> None:
    """Remove the value at a dotted path, if there is one."""
    *outer, last = path.split(".")
    found: Any = document
    for name in outer:
        found = found.get(name)
        if not isinstance(found, dict):
            return
    found.pop(last, None)


def equalities(query: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The fields for which the filter has one value: an upsert begins with them."""
    for name, condition in query.items():
        if name == "$and":
            for one in condition:
                yield from equalities(one)
        elif not name.startswith("$"):
            if not isinstance(condition, Mapping) or not any(key.startswith("$") for key in condition):
                yield name, condition
            elif "$eq" in condition:
                yield name, condition["$eq"]
