"""Names of headers that are not UTF-8 survive MongoDB, whose texts are."""

import bson
import pytest

from schemas.envelope import decode_command
from services.command.jobs import _placed, _record
from services.command.workspace import Received
from services.kit.odd_names import restored_name, stored_name
from tests.support.commands import structured

ODD = b"gr\xf6\xdfe".decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("name", ["", "plain", "größe", "a\x00b", ODD])
def test_a_name_is_stored_and_restored(name: str) -> None:
    stored = bson.decode(bson.encode({"name": stored_name(name)}))["name"]
    assert restored_name(stored) == name


def test_a_parked_command_keeps_its_headers() -> None:
    gallery_id = "00000000-0000-4000-8000-000000000000"
    value = structured("ClearGallery", {"galleryId": gallery_id}, id="c")
    headers = [(ODD, b"\xff"), ("plain", b"1")]
    record = Received("commands", 1, 7, b"k", value, headers)
    assert decode_command(value, headers).command_id == "c"
    document = bson.decode(bson.encode({"record": _record(record), "partition": 1, "galleryId": gallery_id}))
    assert _placed(document, "parked").record == record
