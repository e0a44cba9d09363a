"""Applies updates to documents, and runs pipelines over them, as MongoDB does."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from tests.support.simulation.mongo.expressions import MISSING, evaluate
from tests.support.simulation.mongo.matching import (
    Document,
    equalities,
    in_order,
    matches,
    positioned,
    projected,
    put,
    remove,
    sort_key,
    values_at,
)

Read = Callable[[str, Mapping[str, Any]], list[Document]]
"""Reads a collection, by its name and a filter."""


def upserted(query: Mapping[str, Any]) -> Document:
    """The document with which an upsert begins that has found nothing."""
    document: Document = {}
    for name, value in equalities(query):
        put(document, name, value)
    return document


def updated(
    document: Document, update: Any, now: datetime, *, is_new: bool, query: Mapping[str, Any] = MappingProxyType({})
) -> Document:
    """The document after an update, which may be a pipeline; `document` may be changed in place.

    The filter `query` has found it.
    """
    if isinstance(update, list):
        for stage in update:
            ((name, argument),) = stage.items()
            if name == "$set":
                values = {path: evaluate(one, document, now) for path, one in argument.items()}
                for path, value in values.items():
                    if value is not MISSING:
                        put(document, path, value)
            elif name == "$unset":
                for path in [argument] if isinstance(argument, str) else argument:
                    remove(document, path)
            else:
                raise NotImplementedError(name)
        return document
    for name, argument in update.items():
        if name == "$setOnInsert" and not is_new:
            continue
        for path, value in argument.items():
            _apply(document, name, positioned(document, path, query), value)
    return document


def _apply(document: Document, name: str, path: str, value: Any) -> None:
    present = values_at(document, path)
    match name:
        case "$set" | "$setOnInsert":
            put(document, path, value)
        case "$unset":
            remove(document, path)
        case "$inc":
            put(document, path, value if present is MISSING else present + value)
        case "$min" | "$max":
            choose = min if name == "$min" else max
            put(document, path, value if present is MISSING else choose(present, value, key=sort_key))
        case "$push":
            added = value["$each"] if isinstance(value, Mapping) and "$each" in value else [value]
            pushed = [*(present if present is not MISSING else []), *added]
            limit = value.get("$slice") if isinstance(value, Mapping) else None
            if limit is not None:
                pushed = pushed[limit:] if limit < 0 else pushed[:limit]
            put(document, path, pushed)
        case _:
            raise NotImplementedError(name)


def run(pipeline: Sequence[Mapping[str, Any]], documents: list[Document], read: Read, now: datetime) -> list[Document]:
    """The results of an aggregation over documents that are the caller's own."""
    for stage in pipeline:
        ((name, argument),) = stage.items()
        match name:
            case "$match":
                documents = [one for one in documents if matches(one, argument, now)]
            case "$sort":
                documents = in_order(documents, list(argument.items()))
            case "$limit":
                documents = documents[:argument]
            case "$skip":
                documents = documents[argument:]
            case "$set":
                documents = [updated(one, [stage], now, is_new=False) for one in documents]
            case "$project":
                documents = [_project(one, argument, now) for one in documents]
            case "$unionWith":
                documents += run(argument["pipeline"], read(argument["coll"], {}), read, now)
            case "$lookup":
                for one in documents:
                    _look_up(one, argument, read, now)
            case "$group":
                documents = _grouped(documents, argument, now)
            case _:
                raise NotImplementedError(name)
    return documents


def _project(document: Document, fields: Mapping[str, Any], now: datetime) -> Document:
    computed = {name: one for name, one in fields.items() if not isinstance(one, int | bool)}
    plain = {name: one for name, one in fields.items() if name not in computed}
    kept = projected(dict(document), plain or {"_id": 1})
    for name, expression in computed.items():
        if (value := evaluate(expression, document, now)) is not MISSING:
            put(kept, name, value)
    return kept


def _look_up(document: Document, argument: Mapping[str, Any], read: Read, now: datetime) -> None:
    value = values_at(document, argument["localField"])
    query = {argument["foreignField"]: None if value is MISSING else value}
    pipeline = list(argument.get("pipeline", ()))
    if pipeline and "$match" in pipeline[0]:
        query = {"$and": [query, pipeline.pop(0)["$match"]]}
    document[argument["as"]] = run(pipeline, read(argument["from"], query), read, now)


def _grouped(documents: list[Document], argument: Mapping[str, Any], now: datetime) -> list[Document]:
    groups: dict[str, Document] = {}
    for one in documents:
        key = evaluate(argument["_id"], one, now)
        key = None if key is MISSING else key
        group = groups.setdefault(repr(key), {"_id": key})
        for name, accumulator in argument.items():
            if name != "_id":
                ((kind, expression),) = accumulator.items()
                value = evaluate(expression, one, now)
                _accumulate(group, name, kind, value)
    return list(groups.values())


def _accumulate(group: Document, name: str, kind: str, value: Any) -> None:
    match kind:
        case "$sum":
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            group[name] = group.get(name, 0) + (value if is_number else 0)
        case "$min" | "$max":
            if value is not MISSING and value is not None:
                choose = min if kind == "$min" else max
                group[name] = choose(group[name], value, key=sort_key) if group.get(name) is not None else value
            else:
                group.setdefault(name, None)
        case _:
            raise NotImplementedError(kind)
