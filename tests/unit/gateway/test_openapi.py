"""Client generators can use the whole OpenAPI document."""

from typing import Any
from unittest.mock import Mock

import pytest

from triptych.contract.topics import Topics
from triptych.gateway.app import make_app
from triptych.gateway.settings import GatewaySettings
from triptych.kit.process.health import Health


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document that a gateway serves; no server is needed to make it."""
    return make_app(Mock(settings=GatewaySettings()), Health(), Topics("triptych.")).openapi()


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
