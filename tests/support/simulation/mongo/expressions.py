"""Evaluates the aggregation expressions that the simulated services use, as MongoDB does."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import bson


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()
"""The value of a field that a document does not have."""


_RANKS = {str: 3, int: 2, float: 2, dict: 4, list: 5, bytes: 6, bool: 8, datetime: 9}


def rank(value: Any) -> int:
    """The place of the value's type in MongoDB's order of types; values of different types are never equal."""
    known = _RANKS.get(type(value))
    if known is not None:
        return known
    match value:
        case None:
            return 1
        case bool():
            return 8
        case int() | float():
            return 2
        case str():
            return 3
        case Mapping():
            return 4
        case list():
            return 5
        case bytes():
            return 6
        case datetime():
            return 9
    return 10


def evaluate(expression: Any, document: Mapping[str, Any], now: datetime) -> Any:
    """The value of an expression, or MISSING.

    Args:
        expression: as in a pipeline.
        document: its fields are what `$name` refers to.
        now: the value of `$$NOW`.
    """
    match expression:
        case "$$NOW":
            return now
        case "$$ROOT":
            return document
        case str() if expression.startswith("$"):
            value: Any = document
            for name in expression[1:].split("."):
                if not isinstance(value, Mapping) or name not in value:
                    return MISSING
                value = value[name]
            return value
        case Mapping():
            if len(expression) == 1 and next(iter(expression)).startswith("$"):
                ((name, argument),) = expression.items()
                return _operator(name, argument, document, now)
            made = {name: evaluate(one, document, now) for name, one in expression.items()}
            return {name: one for name, one in made.items() if one is not MISSING}
        case list():
            return [_or_none(evaluate(one, document, now)) for one in expression]
    return expression


def _operator(name: str, argument: Any, document: Mapping[str, Any], now: datetime) -> Any:
    if name == "$literal":
        return argument
    if name == "$cond":
        parts = [argument[key] for key in ("if", "then", "else")] if isinstance(argument, Mapping) else argument
        return evaluate(parts[1 if evaluate(parts[0], document, now) else 2], document, now)
    given = argument if isinstance(argument, list) else [argument]
    values = [evaluate(one, document, now) for one in given]
    if name == "$ifNull":
        return next((one for one in values[:-1] if one is not MISSING and one is not None), values[-1])
    if name == "$and":
        return all(_is_true(one) for one in values)
    if name == "$or":
        return any(_is_true(one) for one in values)
    if name == "$not":
        return not _is_true(values[0])
    if name in _COMPARISONS:
        return _COMPARISONS[name](_key(values[0]), _key(values[1]))
    if name in ("$max", "$min"):
        known = [one for one in values if one is not MISSING and one is not None]
        return (max if name == "$max" else min)(known, key=_key) if known else None
    if name == "$add":
        return _sum(values)
    if name == "$concatArrays":
        if any(one is MISSING or one is None for one in values):
            return None
        return [element for one in values for element in one]
    if name == "$binarySize":
        return None if values[0] in (None, MISSING) else len(values[0])
    if name == "$bsonSize":
        return None if values[0] in (None, MISSING) else len(bson.encode(values[0]))
    raise NotImplementedError(name)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": lambda one, other: one > other,
    "$gte": lambda one, other: one >= other,
    "$lt": lambda one, other: one < other,
    "$lte": lambda one, other: one <= other,
    "$eq": lambda one, other: one == other,
    "$ne": lambda one, other: one != other,
}


def _key(value: Any) -> tuple[Any, ...]:
    if value is MISSING:
        return (0,)
    return (1,) if value is None else (rank(value), value)


def _is_true(value: Any) -> bool:
    return value is not MISSING and value is not None and value is not False and value != 0


def _or_none(value: Any) -> Any:
    return None if value is MISSING else value


def _sum(values: list[Any]) -> Any:
    if any(one is MISSING or one is None for one in values):
        return None
    dates = [one for one in values if isinstance(one, datetime)]
    if not dates:
        return sum(values)
    return dates[0] + timedelta(milliseconds=sum(one for one in values if not isinstance(one, datetime)))
