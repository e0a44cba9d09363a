"""Translates validation errors into the violations of the contract, section 5."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from triptych.contract.base import ViolatedRule
from triptych.contract.codec.json_text import why_not_json
from triptych.contract.limits import PATH_MAX
from triptych.contract.replies import Violation

VIOLATIONS_MAX = 100
"""The most violations that are reported; a body can have tens of thousands, which do not fit into a reply."""

FIELD_MAX = 200
"""Characters of an unknown name that are reported."""

# Limits: error type -> rule, name of the limit in the error's context, description.
_LIMITS = {
    "less_than_equal": (ViolatedRule.MAX, "le", "must be at most {}"),
    "greater_than_equal": (ViolatedRule.MIN, "ge", "must be at least {}"),
    "string_too_long": (ViolatedRule.MAX_LENGTH, "max_length", "must be at most {} characters long"),
    "too_long": (ViolatedRule.MAX_SIZE, "max_length", "must have a size of at most {}"),
    "too_short": (ViolatedRule.MIN_SIZE, "min_length", "must have a size of at least {}"),
}

# Formats: start of the error type -> what was expected, and the same with its article. The first match is used.
_FORMATS = (
    ("string_unicode", "Unicode text", "valid Unicode text"),
    ("string_", "text", "text"),
    ("finite_number", "finite number", "a finite number"),
    ("float_", "number", "a number"),
    ("int_", "integer", "an integer"),
    ("bool_", "true or false", "true or false"),
    ("model_", "object", "an object"),
    ("dict_", "object", "an object"),
    ("tuple_", "list", "a list"),
    ("list_", "list", "a list"),
    ("datetime_", "ISO 8601 time", "an ISO 8601 time with its offset from UTC"),
    ("timezone_", "ISO 8601 time", "an ISO 8601 time with its offset from UTC"),
    ("", "valid value", "a valid value"),
)


def violations_of(error: ValidationError, prefix: str = "") -> list[Violation]:
    """Every violation that an error reports, up to `VIOLATIONS_MAX`, in the order of the fields.

    `prefix` is the field path of the validated value in the request, such as `item` for a single item.
    """
    details = [detail for detail in error.errors(include_url=False) if not _is_spurious(detail)]
    return [_violation_of(detail, prefix) for detail in details[:VIOLATIONS_MAX]]


def _is_spurious(detail: Mapping[str, Any]) -> bool:
    """Whether a list counts as too short only because of invalid entries, which are reported on their own."""
    return detail["type"] == "too_short" and bool(len(detail["input"]) >= detail["ctx"]["min_length"])


def _violation_of(detail: Mapping[str, Any], prefix: str) -> Violation:
    kind: str = detail["type"]
    context: Mapping[str, Any] = detail.get("ctx", {})
    field = _path(prefix, *detail["loc"])[:PATH_MAX]
    if kind in ViolatedRule.__members__:
        return Violation(
            field=_path(field, context["field"]) if context["field"] else field,
            description=detail["msg"],
            violated_rule=ViolatedRule(kind),
            data=context["data"] or None,
        )
    if kind == "extra_forbidden":
        return Violation(field=field[:FIELD_MAX], description="is not known", violated_rule=ViolatedRule.CUSTOM)
    if kind == "json_invalid":
        problem = why_not_json(detail["input"], context["error"])
        return Violation(
            field=field,
            description=f"must be JSON: {problem}",
            violated_rule=ViolatedRule.FORMAT,
            data={"expected": "JSON"},
        )
    if kind == "missing" or detail["input"] is None:
        return Violation(field=field, description="is required", violated_rule=ViolatedRule.REQUIRED_FIELD)
    if kind in _LIMITS:
        rule, limit, description = _LIMITS[kind]
        threshold = _shortest(context[limit])
        return Violation(
            field=field,
            description=description.format(threshold),
            violated_rule=rule,
            data={"threshold": threshold},
        )
    expected, phrase = _expected(kind, context)
    return Violation(
        field=field,
        description=f"must be {phrase}",
        violated_rule=ViolatedRule.FORMAT,
        data={"expected": expected},
    )


def _path(start: str, *steps: str | int) -> str:
    """The field path of these steps: `items[1].image` for `items`, 1, `image`."""
    path = start
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += f".{step}" if path else step
    return path


def _shortest(limit: float) -> float:
    return int(limit) if float(limit).is_integer() else limit


def _expected(kind: str, context: Mapping[str, Any]) -> tuple[str, str]:
    """What was expected instead of the value, first alone and then as a phrase of a sentence."""
    if kind in ("enum", "literal_error"):
        choice = "one of " + str(context["expected"]).replace("'", "").replace(" or ", ", ")
        return choice, choice
    return next((expected, phrase) for start, expected, phrase in _FORMATS if kind.startswith(start))
