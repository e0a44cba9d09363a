"""Reads JSON bodies so that their free-form objects are kept exactly, or are refused with a violation.

A parser silently keeps the last of two equal keys, and turns `1e-400` into 0. The first reading is fast. A body with a
free-form object is read a second time by a parser that marks such values, and the marked values become violations.
"""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import SchemaValidator

from triptych.contract.base import FREE_FORM, RepeatedKeys, TinyNumber
from triptych.contract.item import SMALL, SMALL_BYTES

ModelT = TypeVar("ModelT", bound=BaseModel)


def validate_exactly(
    kind: type[ModelT], raw: bytes | bytearray, *, member: str | None = None, parsed: object = None
) -> ModelT:
    """The model of a JSON body.

    Args:
        kind: the model.
        raw: the whole body.
        member: the name of the member of the body to validate; None validates the body itself.
        parsed: the parsed value of that member.

    Raises pydantic.ValidationError; it includes the violations of free-form objects that cannot be kept exactly.
    """
    validator = kind.__pydantic_validator__
    context: dict[str, bool] = {SMALL: len(raw) <= SMALL_BYTES}

    try:
        if member is None:
            model: ModelT = validator.validate_json(raw, context=context, by_name=False)
        else:
            model = validator.validate_python(parsed, context=context, by_name=False)
    except ValidationError:
        if FREE_FORM in context:
            _refuse_inexact(validator, raw, member, context)  # so that one error has all violations
        raise
    if FREE_FORM in context:
        _refuse_inexact(validator, raw, member, context)
    return model


def _refuse_inexact(
    validator: SchemaValidator, raw: bytes | bytearray, member: str | None, context: dict[str, bool]
) -> None:
    if (marked := read_marked(raw)) is not None:
        content = marked if member is None else marked.get(member)
        validator.validate_python(content, context=context, by_name=False)


def read_marked(raw: bytes | bytearray) -> Any | None:
    """The value of valid JSON with `RepeatedKeys` and `TinyNumber` as marks; None if there is nothing to mark."""
    has_marks = False

    def read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal has_marks
        value = dict(pairs)
        if len(value) == len(pairs):
            return value
        has_marks = True
        return RepeatedKeys(value)

    def read_number(text: str) -> float:
        nonlocal has_marks
        value = float(text)
        if value or not _is_nonzero(text):
            return value
        has_marks = True
        return TinyNumber(text)

    value = json.loads(raw.decode(), object_pairs_hook=read_object, parse_float=read_number)
    return value if has_marks else None


def _is_nonzero(text: str) -> bool:
    return any(digit in "123456789" for digit in text.lower().partition("e")[0])
