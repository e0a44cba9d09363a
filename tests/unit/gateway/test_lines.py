"""Lines and chunks are the same however the bytes of a body arrive, and each line is judged by itself."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.volume import examples
from triptych.contract.commands import CreateItems
from triptych.contract.item import NewItem
from triptych.contract.replies import ErrorCode, Reply, ReplyError
from triptych.gateway.http.errors import ApplicationFailure, HttpFailure, InvalidRequest
from triptych.gateway.lines.chunking import Chunk, Chunker, ParsedLine, chunks_of, parse_line
from triptych.gateway.lines.results import Ending, outcomes_of, render, render_end
from triptych.gateway.lines.slots import LineSlots
from triptych.gateway.lines.splitting import Line, LineSplitter
from triptych.gateway.writing.read_your_writes import Position

ITEM = b'{"text":{"html":"x"}}'
LINES = st.lists(st.sampled_from([ITEM, b"", b"  \t", b"{", b"\xff", b"x" * 9, b"x" * 10, b"x" * 11, b"x" * 40, b"\r"]))
GALLERY = "10000000-0000-4000-8000-000000000000"
IDS = [f"20000000-0000-4000-8000-{number:012d}" for number in range(3)]


def split(pieces: list[bytes], most: int = 10) -> list[Line]:
    splitter = LineSplitter(most)
    return [line for piece in pieces for line in splitter.feed(piece)] + list(splitter.finish())


@given(LINES, st.sampled_from([b"\n", b"\r\n"]), st.lists(st.integers(0, 500)), st.booleans())
@settings(max_examples=examples(200), deadline=None, derandomize=True)
def test_lines_do_not_depend_on_how_their_bytes_arrive(
    lines: list[bytes], end: bytes, cuts: list[int], ends_with_break: bool
) -> None:
    body = end.join(lines) + (end if ends_with_break else b"")
    bounds = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    found = split([body[start:stop] for start, stop in pairwise(bounds)] or [body])
    expected = [
        Line(number, None if len(kept) > 10 else kept)
        for number, line in enumerate(body.split(b"\n"), 1)
        if (kept := line.removesuffix(b"\r")).strip() or len(kept) > 10
    ]
    assert found == expected


def test_a_line_without_end_takes_no_more_memory_than_the_longest_line() -> None:
    splitter = LineSplitter(10)
    for _ in range(1_000):
        assert list(splitter.feed(b"x" * 1_000)) == []
        assert len(splitter._begun) <= 11
    assert list(splitter.feed(b"\n" + ITEM[:10] + b"\n")) == [Line(1, None), Line(2, ITEM[:10])]


@given(st.lists(st.integers(0, 60), max_size=60))
@settings(max_examples=examples(100), deadline=None, derandomize=True)
def test_chunks_have_all_lines_in_order_within_their_bounds(sizes: list[int]) -> None:
    lines = [Line(number, b" " * size) for number, size in enumerate(sizes, 1)]
    chunker = Chunker(lines_max=5, bytes_max=100)
    chunks = [*chunks_of(lines, chunker), *chunker.finish()]
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))
    assert [line.number for chunk in chunks for line in chunk.lines] == [line.number for line in lines]
    for chunk, following in pairwise(chunks):
        total = sum(sizes[line.number - 1] for line in chunk.lines)
        assert total <= 100
        assert len(chunk.lines) == 5 or total + sizes[following.lines[0].number - 1] > 100


@pytest.mark.parametrize(
    ("raw", "field", "rule"),
    [
        (b"{", "item", "FORMAT"),
        (b'{"title":"\xff"}', "item", "FORMAT"),
        (b"\xef\xbb\xbf{}", "item", "FORMAT"),
        (b"[]", "item", "FORMAT"),
        (b"null", "item", "REQUIRED_FIELD"),
        (b"{}", "item", "CUSTOM"),
        (b'{"text":{"html":"x"},"title":7}', "item.title", "FORMAT"),
        (b'{"text":{"html":"x","css":{"a":1,"a":2}}}', "item.text.css", "CUSTOM"),
        (None, "item", "MAX_SIZE"),
    ],
)
def test_a_bad_line_is_refused_in_the_words_of_a_single_request(raw: bytes | None, field: str, rule: str) -> None:
    number, failure = parse_line(Line(7, raw))
    assert isinstance(failure, InvalidRequest)
    assert (number, failure.violations[0].field, failure.violations[0].violated_rule) == (7, field, rule)


def item(**fields: Any) -> NewItem:
    return NewItem.model_validate({"text": {"html": "x"}, **fields})


def test_items_of_a_chunk_are_apart_if_they_ask_for_a_sort_order() -> None:
    refused = InvalidRequest([])
    lines = [ParsedLine(3, item()), ParsedLine(4, refused), ParsedLine(6, item(sort_order=0)), ParsedLine(7, item())]
    chunk = Chunk(0, lines)
    assert list(chunk.items(placed=True)) == [6]
    assert list(chunk.items(placed=False)) == [3, 7]
    command = CreateItems(gallery_id=GALLERY, items=tuple(chunk.items(placed=False).values()), to="end")
    assert len(command.items) == 2


def rendered(lines: list[int], reply: Reply | HttpFailure) -> list[dict[str, Any]]:
    chunk = Chunk(0, [ParsedLine(number, item()) for number in lines])
    data, successes = render(chunk, outcomes_of(lines, reply))
    found = [json.loads(line) for line in data.splitlines()]
    assert successes == sum(one["status"] == 200 for one in found)
    return found


def test_each_line_has_its_item_or_its_error() -> None:
    accepted = Reply(command_id="c", outcome="accepted", gallery_id=GALLERY, sequence=3, item_ids=IDS[:2])
    assert rendered([2, 5], accepted) == [
        {"line": 2, "status": 200, "id": IDS[0]},
        {"line": 5, "status": 200, "id": IDS[1]},
    ]
    (reused, _) = rendered([1, 2], accepted.model_copy(update={"item_ids": IDS}))
    assert (reused["status"], reused["details"]["applicationError"]["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    data = {"field": "items[3].sortOrder", "sortOrder": 1}
    error = ReplyError(code=ErrorCode.ALREADY_EXISTS, message="taken", data=data)
    (taken,) = rendered([9], Reply(command_id="c", outcome="rejected", gallery_id=GALLERY, error=error))
    assert taken["details"]["applicationError"]["data"]["field"] == "item.sortOrder"
    assert (taken["line"], taken["status"], taken["message"]) == (9, 409, "taken")


@pytest.mark.parametrize("failure", [HttpFailure(503), HttpFailure(504), ApplicationFailure(503, "X", "y")])
def test_a_line_whose_outcome_is_not_known_says_that_the_request_may_be_repeated(failure: HttpFailure) -> None:
    (line,) = rendered([4], failure)
    assert line["status"] == failure.status
    assert line["details"]["applicationError"]["code"] == "UNAVAILABLE"
    assert "same Idempotency-Key" in line["message"]


def test_the_last_line_says_whether_all_lines_were_read() -> None:
    last = json.loads(render_end(2, 1, Position(GALLERY, 7), is_shown=True, ending=None))
    assert last == {
        "bulkActionMetadata": {"totalSuccesses": 2, "totalFailures": 1},
        "isComplete": True,
        "isShown": True,
        "position": f"{GALLERY}:7",
    }
    ended = json.loads(render_end(0, 0, None, is_shown=True, ending=Ending({"code": "NOT_FOUND"})))
    assert (ended["isComplete"], ended["error"]) == (False, {"code": "NOT_FOUND"})


def test_no_more_requests_than_slots_are_open() -> None:
    slots = LineSlots(1)
    with slots.taken():
        with pytest.raises(ApplicationFailure) as refused, slots.taken():
            pytest.fail("there is no slot")
        assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "5")
    with slots.taken():
        pass
