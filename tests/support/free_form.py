"""Generates free-form objects: any JSON object that the contract accepts, with many keys special to MongoDB."""

from typing import Any

from hypothesis import strategies as st

OPERATORS = ["$ref", "$id", "$db", "$date", "$binary", "$oid", "$set", "$numberLong", "$"]
SPELLINGS = [*OPERATORS, "a.b", ".", "", "_id", "__proto__", "\0", "a\0b"]
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
_KEYS = st.sampled_from(SPELLINGS) | _TEXTS
_SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    _TEXTS,
)


def _deeper(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    reference = st.fixed_dictionaries({"$ref": _TEXTS, "$id": values}, optional={"$db": _TEXTS, "x": values})
    return st.one_of(st.lists(values, max_size=4), st.dictionaries(_KEYS, values, max_size=4), reference)


VALUES = st.recursive(_SCALARS, _deeper, max_leaves=12)
OBJECTS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(_KEYS, VALUES, max_size=5) | st.fixed_dictionaries(
    {"$ref": _TEXTS, "$id": VALUES}
)
"""Free-form objects with a few levels."""
