"""Records of the commands topic are stored with their exact bytes, with any header that Kafka allows."""

import bson
import pytest

from triptych.command.domain.unit_of_work import ReceivedRecord
from triptych.command.store.received import record_document, record_of


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("ce_id", b"x"), ("ce_id", b"y")],
        [("null", None), ("empty", b"")],
        [("gr\udcf6\udcdfe", b"\xff"), ("größe", b"1"), ("", b"\0")],
    ],
)
def test_a_record_is_read_back_unchanged(headers: list[tuple[str, bytes]]) -> None:
    for key in (None, b"", b"\xff"):
        record = ReceivedRecord("commands", 3, 7, key, b"\0{}", headers)
        assert record_of(bson.decode(bson.encode(record_document(record))), 3) == record


def test_header_names_that_were_stored_as_text_are_read() -> None:
    stored = {**record_document(ReceivedRecord("t", 0, 1, None, b"v", [])), "headers": [["größe", b"1"]]}
    assert record_of(bson.decode(bson.encode(stored)), 0).headers == [("größe", b"1")]
