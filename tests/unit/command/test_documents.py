"""Documents of the write model are read back from BSON unchanged."""

import json
from typing import Any

import bson
import orjson
from hypothesis import given, settings

from tests.support.free_form import OBJECTS
from tests.support.volume import examples
from triptych.command.domain.state import StoredItem
from triptych.command.store.documents import body_of, item_document, item_of, stored_body
from triptych.command.store.pages import fill_page


def _item(css: dict[str, Any]) -> StoredItem:
    return StoredItem("i", "g", "s", 1.5, {"id": "i", "sortOrder": 1.5, "text": {"html": "h", "css": css}})


@settings(max_examples=examples(25))
@given(OBJECTS)
def test_any_free_form_object_is_read_back_and_the_driver_does_not_interpret_it(css: dict[str, Any]) -> None:
    item = _item(css)
    before = json.dumps(item.body)
    read = item_of(bson.decode(bson.encode(item_document(item))))
    assert json.dumps(read.body) == before == json.dumps(item.body)
    assert read._replace(body={}) == item._replace(body={})


@settings(max_examples=examples(20))
@given(OBJECTS)
async def test_staged_items_are_read_back_too(css: dict[str, Any]) -> None:
    stored = bson.decode(bson.encode({"body": stored_body(_item(css).body)}))

    async def found() -> Any:
        yield stored

    (page,) = await fill_page(found(), "body")
    assert orjson.loads(orjson.dumps(page["body"])) == _item(css).body


def test_free_form_objects_that_were_stored_unpacked_are_still_read() -> None:
    body = _item({"$ref": "a", "$id": "b", "x": [{"$id": 1, "$ref": "c", "$db": "d"}], "y": {"z": 1}}).body
    read = body_of(bson.decode(bson.encode({"item": body}))["item"])
    assert orjson.loads(orjson.dumps(read)) == body


def test_items_without_free_form_objects_are_stored_as_they_are() -> None:
    body = {"id": "i", "text": {"html": "h"}, "image": {"quality": 30}}
    assert stored_body(body) is body
