"""Tests what the command line prints and refuses, without servers."""

from datetime import UTC, datetime
from io import StringIO
from typing import Any

import orjson
import pytest
from rich.console import Console

from triptych.cli.progress import LINE_SECONDS, PhaseBars
from triptych.cli.send import read_command
from triptych.cli.watch import describe
from triptych.contract.codec.events import decode_event, gallery_created, gallery_deleted, item_created, item_deleted
from triptych.kit.failures import StartRefused

AT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
GALLERY = "4937b26c-0000-4000-8000-000000000000"
ITEM = "a045b201-0000-4000-8000-000000000000"
HEAD = {"id": GALLERY, "name": "Sea", "totalItems": 2, "sortOrder": 1, "createdDate": "2026-01-02T03:04:05.678Z"}
BODY = {"id": ITEM, "title": "Dawn", "type": "IMAGE", "sortOrder": 1}


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (gallery_created(ITEM, GALLERY, 1, AT, HEAD), "03:04:05.678  4937b26c  #1     gallery created  'Sea', 2 items"),
        (item_created(ITEM, GALLERY, 2, AT, BODY), "03:04:05.678  4937b26c  #2     item created     'Dawn' (IMAGE)"),
        (item_deleted(ITEM, GALLERY, 3, AT, ITEM), f"03:04:05.678  4937b26c  #3     item deleted     {ITEM}"),
        (gallery_deleted(ITEM, GALLERY, 4, AT), "03:04:05.678  4937b26c  #4     gallery deleted"),
    ],
)
def test_an_event_is_one_readable_line(event: dict[str, Any], line: str) -> None:
    decoded = decode_event(orjson.dumps(event))
    assert describe(decoded, "default") == line
    assert describe(decoded, "red") == f"{line}  site red"


def test_a_typed_command_becomes_an_envelope() -> None:
    envelope = read_command("DeleteGallery", f'{{"galleryId": "{GALLERY}"}}', "red", "id-1")
    assert (envelope.command_id, envelope.site_id, envelope.correlation_id) == ("id-1", "red", "id-1")
    assert envelope.data.gallery_id == GALLERY


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("Nonsense", "{}", "There is no command Nonsense"),
        ("DeleteGallery", "{}", "galleryId: is required"),
        ("DeleteGallery", "{", "The data of DeleteGallery is not JSON"),
        ("DeleteGallery", '{"galleryId": "\udcff"}', "The data of DeleteGallery is not JSON"),
        (
            "CreateItems",
            f'{{"galleryId": "{GALLERY}", "items": [{{"text": {{"html": "", "css": {{"a": 1, "a": 2}}}}}}]}}',
            "items.0..text.css: must not hold the same key twice",
        ),
    ],
)
def test_a_mistyped_command_is_explained(name: str, data: str, words: str) -> None:
    with pytest.raises(StartRefused, match=words):
        read_command(name, data, "default", None)


def test_without_a_terminal_progress_is_a_line_every_few_seconds() -> None:
    written, now = StringIO(), 0.0
    bars = PhaseBars(Console(file=written, width=80), lambda: now)
    for second in range(10):
        now = float(second)
        bars.report("galleries", second * 1_000, 9_000)
    assert written.getvalue().splitlines() == ["galleries: 4,000 of 9,000", "galleries: 8,000 of 9,000"]
    assert LINE_SECONDS < 5
