"""AsyncAPI's parser, Redocly and ajv find nothing wrong with the published documents, schemas and examples."""

import re
from typing import Any

import pytest

from tests.support.tools.cases import WRONG, all_cases, schemas
from tests.support.tools.running import Report
from triptych.contract.publishing.asyncapi import MESSAGES

ACCEPTED = {
    # More tools read 3.0 than 3.1, and the document uses nothing that is new in 3.1.
    "asyncapi-latest-version",
    # Nothing says under which licence a gateway is run: that is for its operator.
    "info-license",
}
"""Rules whose advice we do not follow."""

# The contract accepts a GUID without hyphens (section 2). `format: uuid` is what a sender should write.
_WITHOUT_HYPHENS = re.compile(r"[0-9a-fA-F]{32}")


@pytest.mark.parametrize("name", ["published", "served"])
def test_the_parser_of_asyncapi_accepts_the_document_and_finds_every_message(node: Report, name: str) -> None:
    read = node["asyncapi"][name]
    assert [one for one in read["found"] if one["rule"] not in ACCEPTED] == []
    assert set(read["messages"]) == {model.__name__ for messages in MESSAGES.values() for model, _ in messages}


def test_redocly_accepts_the_openapi_document(node: Report) -> None:
    assert [one for one in node["openapi"]["served"] if one["rule"] not in ACCEPTED] == []


def test_ajv_accepts_every_schema_in_strict_mode_and_every_example(node: Report) -> None:
    assert len(schemas()) >= 2 * 21, "the published ones, and those of a released version"
    values = {one["name"]: one["value"] for one in all_cases()["values"]}
    assert {name.split("/")[0] for name in values} >= {"present", "1.0.0"}
    found = [one for one in node["schemas"] if not one["place"].startswith(WRONG)]
    assert [one for one in found if not _is_other_spelling(one, values)] == []


def test_the_tools_find_what_is_wrong(node: Report) -> None:
    assert "error" in {one["severity"] for one in node["asyncapi"][WRONG]["found"]}
    assert "operation-operationId" in {one["rule"] for one in node["openapi"][WRONG]}
    rules = {one["rule"] for one in node["schemas"] if one["place"].startswith(WRONG)}
    assert rules == {"schema", "required"}, "an unknown keyword, and a value without its fields"


def _is_other_spelling(found: dict[str, str], values: dict[str, Any]) -> bool:
    """Whether this is a command with an id that has no hyphens."""
    name, _, field = found["place"].rpartition("/")
    text = values.get(name, {}).get(field)
    return found["rule"] == "format" and "/commands/" in name and bool(_WITHOUT_HYPHENS.fullmatch(str(text)))
