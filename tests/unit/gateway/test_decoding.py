"""Request bodies that are compressed, truncated, decompression bombs, or in an unknown encoding."""

import contextlib
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triptych.gateway.http.decoding import CHUNK_BYTES, decoder_of
from triptych.gateway.http.errors import ApplicationFailure, InvalidRequest


def decoded(encoding: str, chunks: list[bytes]) -> bytes:
    decoder = decoder_of([encoding])
    decoded_chunks = [decoded_chunk for chunk in chunks for decoded_chunk in decoder.decode(chunk)]
    decoder.check_end()
    assert all(len(decoded_chunk) <= CHUNK_BYTES for decoded_chunk in decoded_chunks)
    return b"".join(decoded_chunks)


@given(st.lists(st.binary(max_size=2_000), min_size=1, max_size=3), st.integers(1, 700), st.sampled_from([1, 4_000]))
def test_what_was_compressed_is_decoded_exactly(members: list[bytes], size: int, repeated: int) -> None:
    plain = [member * repeated for member in members]
    sent = b"".join(gzip.compress(member) for member in plain)
    chunks = [sent[start : start + size] for start in range(0, len(sent), size)]
    assert decoded("gzip", chunks) == b"".join(plain)


def test_output_after_a_full_chunk_is_not_lost() -> None:
    for size in (CHUNK_BYTES, 3 * CHUNK_BYTES, 3 * CHUNK_BYTES + 1):
        assert decoded("GZIP", [gzip.compress(bytes(size))]) == bytes(size)


@given(st.binary(max_size=100))
def test_any_bytes_are_decoded_or_refused(sent: bytes) -> None:
    for chunks in ([sent], [gzip.compress(b"{}") + sent], [gzip.compress(b"{}")[: len(sent)]]):
        with contextlib.suppress(InvalidRequest):
            decoded("x-gzip", chunks)


def test_a_body_that_ends_too_early_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="400"):
        decoded("gzip", [gzip.compress(b"{}")[:-1]])


@pytest.mark.parametrize("encoding", ["", "identity", "Identity, identity"])
def test_plain_bodies(encoding: str) -> None:
    assert decoded(encoding, [b"a", b"b"]) == b"ab"


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip", "nonsense"])
def test_other_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(ApplicationFailure) as refusal:
        decoder_of([encoding])
    assert (refusal.value.status, refusal.value.headers) == (415, {"Accept-Encoding": "gzip, identity"})
