"""Client generators can use the whole OpenAPI document."""

from typing import Any

import pytest

from tests.support.documented import of_gateway


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document that a gateway serves."""
    return dict(of_gateway())


def test_no_two_types_share_a_title(document: dict[str, Any]) -> None:
    titles = [schema["title"] for schema in document["components"]["schemas"].values() if "title" in schema]
    assert len(titles) == len(set(titles))


def test_every_reference_has_its_type(document: dict[str, Any]) -> None:
    def references(value: object) -> set[str]:
        if isinstance(value, dict):
            here = {value["$ref"].rpartition("/")[2]} if isinstance(value.get("$ref"), str) else set()
            return here.union(*map(references, value.values()))
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    assert references(document) <= set(document["components"]["schemas"])


def test_it_says_where_the_server_is(document: dict[str, Any]) -> None:
    assert [server["url"] for server in document["servers"]] == ["/"]


def test_a_write_may_refuse_a_key_that_was_used_before(document: dict[str, Any]) -> None:
    for path in document["paths"].values():
        for operation in path.values():
            takes_keys = any(one["name"] == "Idempotency-Key" for one in operation["parameters"])
            assert ("422" in operation["responses"]) == takes_keys


def test_every_write_may_refuse_a_condition_and_only_galleries_have_one(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert ("412" in operation["responses"]) == (method != "get"), (method, path)
            takes_tags = any(one["name"] == "If-Match" for one in operation["parameters"])
            assert takes_tags == (method != "get" and not path.startswith("/v1")), (method, path)
