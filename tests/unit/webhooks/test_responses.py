"""The status line of a response decides, whatever bytes come before or after it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.responses import CHUNKED, NOT_RESPONSES, RESPONSES
from triptych.webhooks.http.responses import HEAD_MAX, LINE_MAX, ResponseReader


def read(pieces: list[bytes], body_max: int = 1_024) -> ResponseReader:
    reader = ResponseReader(body_max)
    for piece in pieces:
        reader.feed(piece)
    reader.end()
    return reader


@pytest.mark.parametrize("name", RESPONSES)
@pytest.mark.parametrize("step", [1, 7, 1_000_000])
def test_responses(name: str, step: int) -> None:
    sent, status, is_reusable, body = RESPONSES[name]
    reader = read([sent[start : start + step] for start in range(0, len(sent), step)])
    assert (reader.status, bytes(reader.body), reader.problem) == (status, body, None)
    assert reader.is_reusable == is_reusable


@pytest.mark.parametrize("name", NOT_RESPONSES)
def test_bytes_that_are_not_a_response(name: str) -> None:
    reader = read([NOT_RESPONSES[name]])
    assert (reader.status, reader.is_reusable) == (None, False)
    assert reader.problem


def test_no_bytes_at_all_are_not_a_problem_of_http() -> None:
    assert read([]).problem is None


def test_memory_for_a_response_is_bounded() -> None:
    reader = ResponseReader(4)
    reader.feed(b"HTTP/1.1 200 " + b"x" * (3 * LINE_MAX))
    assert reader.status == 200
    reader.feed(b"\r\nRetry-After: " + b"9" * (3 * LINE_MAX))
    reader.feed(b"\r\nContent-Length: 9\r\n\r\n12345")
    assert (reader.is_done, reader.is_reusable, bytes(reader.body)) == (True, False, b"1234")
    assert len(reader.retry_after or "") <= LINE_MAX

    endless = ResponseReader(4)
    endless.feed(b"HTTP/1.1 200 OK\r\n")
    for _ in range(HEAD_MAX // 1_000 + 1):
        endless.feed(b"X-A: " + b"y" * 993 + b"\r\n")
    assert (endless.is_done, endless.status, endless.problem) == (True, 200, None)


@given(st.binary(max_size=200), st.lists(st.integers(0, 250), max_size=5))
def test_no_bytes_make_the_reader_fail(data: bytes, cuts: list[int]) -> None:
    for beginning in (b"", b"HTTP/1.1 200 OK\r\n", CHUNKED):
        sent = beginning + data
        edges = [0, *sorted(cuts), len(sent)]
        pieces = [sent[first:last] for first, last in itertools.pairwise(edges)]
        reader = read(pieces)
        if beginning:
            assert reader.status == 200
