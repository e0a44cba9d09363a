"""The base of all wire models: their naming, their scalar types, and the error for a broken rule."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
    model_serializer,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import CoreSchema, SerializationInfo, SerializerFunctionWrapHandler

JSON_DEPTH_MAX = 32
"""The largest depth of free-form objects, well below the limits of JSON parsers (jiter, which we use, accepts 200)."""

FREE_FORM = "free_form"
"""Key that validation sets in its context when it finds a free-form object, whose text must then be read exactly: see
`triptych.contract.codec.exact`."""

TEXT_MAX = 256 * 1024
"""Characters of a text that has no lower limit; no item may be larger than this as JSON (contract, D21)."""

_INT64 = 2**63
_EXACT_INTEGERS = 2**53
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DATED = re.compile(r"[0-9]{4}-")
_BARE_GUID = re.compile(r"[0-9a-f]{32}")


class ViolatedRule(StrEnum):
    """The names of the rules that a field can break (contract, section 5)."""

    MAX = "MAX"
    MIN = "MIN"
    MAX_LENGTH = "MAX_LENGTH"
    MIN_SIZE = "MIN_SIZE"
    MAX_SIZE = "MAX_SIZE"
    REQUIRED_FIELD = "REQUIRED_FIELD"
    FORMAT = "FORMAT"
    CUSTOM = "CUSTOM"


def broken(
    rule: ViolatedRule, description: str, *, field: str = "", data: Mapping[str, Any] | None = None
) -> PydanticCustomError:
    """The error that a validator raises for a rule of the contract; `triptych.contract.violations` translates it.

    `field` is a path below the validated value. `description` follows the field's name ("must be a GUID").
    """
    return PydanticCustomError(rule.value, description, {"field": field, "data": dict(data or {})})


class WireModel(BaseModel):
    """A frozen JSON object with camelCase names that ignores unknown fields (contract, section 2.2).

    Because of the limit on texts, pydantic also refuses unpaired surrogates, which UTF-8 cannot encode.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        str_max_length=TEXT_MAX,
        json_schema_serialization_defaults_required=True,
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """The JSON Schema of the wire form, which leaves out null fields."""
        published = handler(schema)
        form = handler.resolve_ref_schema(published)
        for name, field in form.get("properties", {}).items():
            field.pop("title", None)  # it repeats the field's name in another spelling
            if handler.mode == "serialization" and field.get("default", ...) is None:
                del field["default"]
                form["required"].remove(name)
                field.update(*(schema for schema in field.pop("anyOf") if schema != {"type": "null"}))
        return published

    def to_wire(self) -> dict[str, Any]:
        """The JSON-ready object: wire names, no nulls, instants as text, integral numbers as integers."""
        # The serializer is called directly, because model_dump doubles the cost, and this runs once for each event.
        wire: dict[str, Any] = self.__pydantic_serializer__.to_python(
            self, mode="json", by_alias=True, exclude_none=True
        )
        return wire

    def to_json(self) -> bytes:
        """`to_wire` as UTF-8 JSON."""
        return self.__pydantic_serializer__.to_json(self, by_alias=True, exclude_none=True)

    def _normalise(self, **values: Any) -> Self:
        """Set fields of a model that is still being validated; afterwards it is frozen."""
        self.__dict__.update(values)
        self.__pydantic_fields_set__.update(name for name, value in values.items() if value is not None)
        return self


class Patch(WireModel):
    """A partial change: `model_fields_set` is exactly the set of fields to change; an explicit null clears one (D7)."""

    @model_serializer(mode="wrap")
    def _keep_nulls(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        wire: dict[str, Any] = handler(self)
        for name in self.model_fields_set:
            if getattr(self, name) is None:
                wire[to_camel(name) if info.by_alias else name] = None
        return wire

    def _drop_nulls(self, *names: str) -> None:
        """Treat null values of these fields as absent."""
        self.__pydantic_fields_set__.difference_update(name for name in names if getattr(self, name) is None)


def parse_guid(text: str) -> str:
    """The canonical form of a GUID of any version: lower case, with hyphens.

    Raises ValueError for anything else.
    """
    if _GUID.fullmatch(text):
        return text
    lowered = text.lower()
    if _GUID.fullmatch(lowered):
        return lowered
    if _BARE_GUID.fullmatch(lowered):
        return f"{lowered[:8]}-{lowered[8:12]}-{lowered[12:16]}-{lowered[16:20]}-{lowered[20:]}"
    raise ValueError("not a GUID")


def _guid(text: str) -> str:
    try:
        return parse_guid(text)
    except ValueError:
        raise broken(ViolatedRule.FORMAT, "must be a GUID", data={"expected": "GUID"}) from None


def _number(value: float) -> float | int:
    """An integral double without `.0`: the shortest form that reads back to the same value (contract, section 4)."""
    return int(value) if value.is_integer() and abs(value) <= _EXACT_INTEGERS else value


def _not_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise broken(ViolatedRule.FORMAT, "must be an integer", data={"expected": "integer"})
    return value


def _dated(value: object) -> object:
    if isinstance(value, datetime) or (isinstance(value, str) and _DATED.match(value)):
        return value
    raise broken(ViolatedRule.FORMAT, "must be an ISO 8601 time", data={"expected": "ISO 8601 time"})


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:  # on the first and last day of the calendar, with an offset that leaves the calendar
        raise broken(ViolatedRule.FORMAT, "must be an ISO 8601 time", data={"expected": "ISO 8601 time"}) from None


def null_as(default: object) -> BeforeValidator:
    """Read null as this value, for fields that are never null after validation."""
    return BeforeValidator(lambda value: default if value is None else value)


@lru_cache(maxsize=64)  # changes that are decided together have the same moment
def format_instant(at: datetime) -> str:
    """The moment as `YYYY-MM-DDTHH:MM:SS.mmmZ`, which the client writes and reads (contract, section 1.4)."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


class RepeatedKeys(dict[str, Any]):
    """A JSON object whose text has a key twice (parsers keep the last); made by `triptych.contract.codec.exact`."""


class TinyNumber(float):
    """A zero whose text is a number too close to zero for a double; made by `triptych.contract.codec.exact`."""


def check_json(value: object, depth: int = 0) -> str | None:
    """Why a JSON value cannot be passed on exactly; None if it can."""
    if isinstance(value, str):
        return None if value.isascii() or _is_unicode(value) else "must not hold half of a surrogate pair"
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        return None if -_INT64 <= value < _INT64 else "must not hold integers outside 64 bits"
    if isinstance(value, float):
        if isinstance(value, TinyNumber):
            return "must not hold numbers that are too close to zero for a double"
        return None if math.isfinite(value) else "must not hold numbers that are not finite"
    if depth == JSON_DEPTH_MAX:
        return f"must not nest deeper than {JSON_DEPTH_MAX} levels"
    if isinstance(value, list):
        return next((problem for element in value if (problem := check_json(element, depth + 1))), None)
    if isinstance(value, dict):
        if isinstance(value, RepeatedKeys):
            return "must not hold the same key twice in one object"
        for key, member in value.items():
            if not isinstance(key, str):
                return "must hold JSON values only"
            if problem := check_json(key, depth) or check_json(member, depth + 1):
                return problem
        return None
    return "must hold JSON values only"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _json_object(value: object, info: ValidationInfo) -> object:
    """Check the value before pydantic copies it, since the copy loses the marks of `triptych.contract.codec.exact`."""
    if info.context is not None:
        info.context[FREE_FORM] = True
    if isinstance(value, dict) and (problem := check_json(value)):
        raise broken(ViolatedRule.CUSTOM, problem)
    return value


Guid = Annotated[str, AfterValidator(_guid), WithJsonSchema({"type": "string", "format": "uuid"})]
"""A GUID of any version, normalised to lower case with hyphens."""

Double = Annotated[
    float,
    Field(strict=True, allow_inf_nan=False),
    PlainSerializer(_number, when_used="json-unless-none"),
    WithJsonSchema({"type": "number"}, mode="serialization"),
]
"""A finite number. The client sends other numbers as the texts "NaN" and "Infinity", which are refused (D16)."""

SortOrder = Annotated[Double, AfterValidator(lambda value: value + 0.0)]
"""The sort order of an item or gallery, descending; -0.0 becomes 0.0, since a unique index treats them as equal."""

NUMERIC = BeforeValidator(_not_boolean)
"""Refuses `true`, which pydantic would read as 1."""

Integer = Annotated[int, Field(ge=-_INT64, le=_INT64 - 1), NUMERIC]
"""A 64-bit integer; 100.0 and "100" are read as 100, since clients in some languages write integers like that."""

Instant = Annotated[
    AwareDatetime,
    AfterValidator(_utc),
    BeforeValidator(_dated),
    PlainSerializer(format_instant, when_used="json-unless-none"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A moment in UTC, with milliseconds on the wire. Numbers, which pydantic would read as Unix time, are refused."""

JsonObject = Annotated[dict[str, Any], BeforeValidator(_json_object)]
"""A free-form object, kept as received (contract, sections 3.3 and 3.5)."""
