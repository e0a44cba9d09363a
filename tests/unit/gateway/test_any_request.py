"""Any text in any parsed field of a request gets a response of the contract, never a 500."""

import asyncio
import gzip
import json
from collections.abc import Iterator
from functools import cache
from urllib.parse import quote_from_bytes

import pytest
from fastapi import FastAPI
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.gateway_alone import Reply, request, standalone_gateway
from tests.support.volume import examples
from triptych.readmodel.cursors import write_cursor
from triptych.readmodel.gallery_lists import GalleryCursor
from triptych.webhooks.store.cursors import EXAMPLE

G = "0198c0de-0000-4000-8000-000000000001"
GALLERIES = "/progallery/v2/galleries"
ITEMS = f"{GALLERIES}/{G}/items"
LISTENER = f"/v1/listeners/{G}"
LETTERS = "/v1/dead-letters"
RUNNER = asyncio.Runner()


@cache
def alone() -> FastAPI:
    """One gateway for all requests: it takes half a second to make."""
    return standalone_gateway(gateway_view_timeout=0.001)


@pytest.fixture(scope="module", autouse=True)
def closed() -> Iterator[None]:
    yield
    RUNNER.close()


def ask(method: str, target: str, headers: list[tuple[str, bytes]] | None = None, body: bytes = b"") -> Reply:
    reply = RUNNER.run(request(alone(), method, target.encode("ascii"), headers, body))
    # No service is behind this gateway: a valid write gets 504, and a read that waits for a write gets 503.
    assert reply.status < 500 or reply.status == 504 or (reply.status == 503 and is_waiting(headers)), reply
    if reply.status == 400:
        (violation, *_) = reply.json()["details"]["validationError"]["fieldViolations"]
        assert violation["description"]
        assert violation["violatedRule"]
    elif 400 <= reply.status < 500:
        assert reply.json()["details"]["applicationError"]["code"]
    return reply


def is_waiting(headers: list[tuple[str, bytes]] | None) -> bool:
    return any(name == "x-wix-consistent" for name, _ in headers or [])


GUIDS = st.sampled_from([G, G.upper(), G.replace("-", ""), f"{G}\0", f"{G}\n", f" {G}", f"{{{G}}}", "delete", ".."])
NUMBERS = st.integers().map(str) | st.sampled_from(["\u0661", "1_0", "1e1", "10.0", "\uff11", "9" * 5_000, "-0", "²"])
MOMENTS = st.builds(
    "{}{}".format,
    st.datetimes().map(lambda at: at.isoformat()) | st.sampled_from(["0001-01-01T00:00:00", "9999-12-31T23:59:59"]),
    st.sampled_from(["", "Z", "+00:00", "+14:00", "-14:00", "+99:99"]),
)
CURSORS = st.one_of(
    st.builds("{}|{}".format, MOMENTS, GUIDS | st.text(max_size=5)),
    st.floats().map(write_cursor),
    st.builds(GalleryCursor, st.integers(-(2**63), 2**63) | st.text(max_size=5), GUIDS).map(str),
    st.sampled_from([EXAMPLE, "=", "AAAA", "AUAAAAAAAAAA\n", "é"]),
)
POSITIONS = st.lists(st.builds("{}:{}".format, GUIDS | st.integers(), NUMBERS), max_size=10).map(",".join)
TAGS = st.lists(st.builds('{}"{}"'.format, st.sampled_from(["", "W/"]), NUMBERS | st.text()), max_size=3).map(",".join)
TEXTS = st.one_of(GUIDS, NUMBERS, MOMENTS, CURSORS, POSITIONS, TAGS, st.text(max_size=300))
BYTES = TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=50)

PARAMETERS = st.sampled_from(
    [
        ("GET", GALLERIES, ("limit", "offset", "itemLimit", "name", "cursor")),
        ("GET", f"{GALLERIES}/{G}", ("itemLimit", "itemOffset", "galleryId")),
        ("GET", ITEMS, ("itemLimit", "itemOffset", "cursor", "type", "tag")),
        ("DELETE", ITEMS, ("itemsIds", "itemIds", "galleryId", "itemsIds[]")),
        ("DELETE", f"{ITEMS}/{G}", ("itemId", "galleryId")),
        ("DELETE", f"{GALLERIES}/{G}", ("galleryId",)),
        ("POST", f"{ITEMS}/bulk/lines", ("galleryId", "dryRun")),
        ("GET", "/v1/listeners", ("limit", "cursor")),
        ("GET", f"{LISTENER}/deliveries", ("limit", "cursor", "status", "eventType")),
        ("GET", "/v1/listener-health", ("limit", "cursor")),
        ("POST", f"{LISTENER}/test", ("limit",)),
        ("GET", f"{LISTENER}/public-key", ("keyId",)),
        ("GET", "/v1/operational-events", ("limit",)),
        ("GET", LETTERS, ("topic", "since", "until", "limit", "cursor")),
        ("GET", LETTERS, ("partition", "reason", "siteId", "galleryId", "state")),
    ]
)
KINDS = st.sampled_from(["/v1/listeners", GALLERIES, LETTERS])
HEADERS = (
    "authorization",
    "wix-site-id",
    "x-wix-consistent",
    "last-event-id",
    "if-match",
    "if-none-match",
    "idempotency-key",
    "traceparent",
    "content-type",
    "content-encoding",
    "content-length",
)
WITH_HEADERS = st.sampled_from(
    [
        ("GET", f"{GALLERIES}/{G}"),
        ("GET", "/progallery/v2/events"),
        ("PATCH", f"{GALLERIES}/{G}"),
        ("POST", f"{LISTENER}/replay"),
    ]
)
# The HTTP server refuses control characters.
VALUES = BYTES.map(lambda value: bytes(byte for byte in value if byte >= 0x20 and byte != 0x7F).strip())


@given(PARAMETERS, st.lists(st.tuples(st.integers(0, 4), BYTES), min_size=1, max_size=3))
@settings(max_examples=examples(50), deadline=None)
def test_parameters(route: tuple[str, str, tuple[str, ...]], values: list[tuple[int, bytes]]) -> None:
    method, path, names = route
    query = "&".join(f"{names[number % len(names)]}={quote_from_bytes(value)}" for number, value in values)
    ask(method, f"{path}?{query}")


@given(st.sampled_from(["GET", "DELETE", "PATCH", "POST", "OPTIONS"]), st.lists(BYTES, max_size=3), KINDS)
@settings(max_examples=examples(25), deadline=None)
def test_paths(method: str, segments: list[bytes], kind: str) -> None:
    prefix = f"{kind}/"
    ask(method, prefix + "/".join(quote_from_bytes(segment, safe="") for segment in segments))


@given(WITH_HEADERS, st.lists(st.tuples(st.sampled_from(HEADERS), VALUES), min_size=1, max_size=3))
@settings(max_examples=examples(50), deadline=None)
@example(("GET", "/progallery/v2/events"), [("last-event-id", b"0:0")])
@example(("GET", "/progallery/v2/events"), [("last-event-id", b"0:0,0:999999999999999999,7:1")])
@example(("PATCH", f"{GALLERIES}/{G}"), [("content-length", b"9" * 5_000)])
def test_headers(route: tuple[str, str], fields: list[tuple[str, bytes]]) -> None:
    ask(*route, fields, b'{"gallery":{"name":"n"}}' if route[0] == "PATCH" else b"")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | TEXTS.map(lambda t: t.encode("utf-8", "replace").decode()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
BODIES = st.sampled_from(
    [
        ("POST", f"{LISTENER}/replay", ("cursor", "since", "until", "galleryId")),
        ("POST", f"{LISTENER}/resend-dead", ("cursor",)),
        ("POST", f"{LISTENER}/rotate-secret", ("overlapSeconds",)),
        ("PATCH", LISTENER, ("listener",)),
        ("POST", f"{LETTERS}/replay-matching", ("cursor", "since", "until", "topic")),
        ("POST", f"{LETTERS}/drop-matching", ("partition", "reason", "siteId", "state")),
        ("POST", f"{LETTERS}/t.commands.dead-letter-0@0/replay", ("again", "old", "dryRun")),
        ("POST", f"{ITEMS}/delete", ("itemIds",)),
        ("POST", f"{ITEMS}/{G}/move", ("before", "after", "to")),
        ("POST", f"{ITEMS}/move", ("itemIds", "before", "after", "to")),
        ("POST", f"{ITEMS}/bulk", ("items",)),
        ("POST", ITEMS, ("item",)),
        ("POST", GALLERIES, ("gallery", "cloneFromGalleryId")),
    ]
)


@given(BODIES, st.lists(st.tuples(st.integers(0, 3), JSON), max_size=2))
@settings(max_examples=examples(50), deadline=None)
@example(("POST", f"{LISTENER}/replay", ("cursor",)), [(0, "0001-01-01T00:00:00+14:00|x")])
@example(("POST", f"{LISTENER}/replay", ("cursor",)), [(0, "9999-12-31T23:59:59-14:00|x")])
@example(("POST", f"{LISTENER}/replay", ("since",)), [(0, "0001-01-01T00:00:00+14:00")])
@example(("POST", f"{LISTENER}/replay", ("since",)), [(0, "0001-01-01T00:00:00Z")])
@example(("POST", f"{LETTERS}/replay-matching", ("since",)), [(0, "2026-01-01T00:00:00Z")])
def test_bodies(route: tuple[str, str, tuple[str, ...]], values: list[tuple[int, object]]) -> None:
    method, path, names = route
    text = json.dumps({names[number % len(names)]: value for number, value in values})
    ask(method, path, body=text.encode())


@given(BODIES, st.binary(max_size=30), st.booleans())
@settings(max_examples=examples(25), deadline=None)
def test_bytes_that_are_not_json(route: tuple[str, str, tuple[str, ...]], body: bytes, is_gzip: bool) -> None:
    ask(route[0], route[1], [("content-encoding", b"gzip")] if is_gzip else [], body)


@pytest.mark.parametrize(("size", "status"), [(1_000, 504), (3_000_000, 413)])
def test_compressed_bodies_are_read_up_to_the_limit(size: int, status: int) -> None:
    app: FastAPI = standalone_gateway(gateway_body_limit=1_000_000)
    body = gzip.compress(b'{"gallery":{"name":"n","unknown":"' + b"x" * size + b'"}}')
    reply = RUNNER.run(request(app, "POST", GALLERIES.encode(), {"content-encoding": b"gzip"}, body))
    assert (len(body) < 10_000, reply.status) == (True, status)


def test_an_unknown_content_encoding() -> None:
    for method, path, _ in (("POST", "/v1/listeners", ()), ("POST", GALLERIES, ())):
        reply = ask(method, path, [("content-encoding", b"br")], b"{}")
        assert (reply.status, reply.headers["accept-encoding"]) == (415, "gzip, identity")


@pytest.mark.parametrize(
    ("method", "target", "named"),
    [
        ("DELETE", f"{ITEMS}?itemIds={G}", ["itemIds"]),
        ("DELETE", f"{ITEMS}?itemsIds[]={G}&itemids={G}", ["itemsIds[]", "itemids"]),
        ("DELETE", f"{ITEMS}?itemsIds={G}&dryRun=1", ["dryRun"]),
        ("DELETE", f"{ITEMS}/{G}?dryRun=1", ["dryRun"]),
        ("DELETE", f"{GALLERIES}/{G}?itemsIds={G}", ["itemsIds"]),
        ("DELETE", f"{LISTENER}?soft=1", ["soft"]),
        ("POST", f"{LISTENER}/replay?since=2026-01-01T00:00:00Z", ["since"]),
        ("POST", f"{LISTENER}/resend-dead?limit=1", ["limit"]),
        ("POST", f"{LISTENER}/rotate-secret?overlapSeconds=60", ["overlapSeconds"]),
        ("POST", f"{GALLERIES}/{G}/rebalance?dryRun=1", ["dryRun"]),
        ("POST", f"{ITEMS}/move?dryRun=1", ["dryRun"]),
        ("POST", f"{GALLERIES}/{G}/restore?dryRun=1", ["dryRun"]),
        ("POST", f"{LETTERS}/replay-matching?dryRun=1", ["dryRun"]),
        ("POST", f"{LETTERS}/drop-matching?topic=commands", ["topic"]),
        ("POST", f"{LETTERS}/t.commands.dead-letter-0@0/drop?dryRun=1", ["dryRun"]),
    ],
)
def test_requests_that_delete_or_send_refuse_unknown_parameters(method: str, target: str, named: list[str]) -> None:
    reply = ask(method, target)
    assert reply.status == 400
    violations = reply.json()["details"]["validationError"]["fieldViolations"]
    assert [violation["field"] for violation in violations] == named


@pytest.mark.parametrize("path", [ITEMS, f"{ITEMS}/{G}", f"{GALLERIES}/{G}", LISTENER])
def test_deletions_have_no_body(path: str) -> None:
    reply = ask("DELETE", path, body=b'{"itemIds":["%s"]}' % G.encode())
    assert reply.json()["message"].startswith("the body must be empty")


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        (f"{LISTENER}/replay", b'{"sicne":"2026-01-01T00:00:00Z"}', "sicne"),
        (f"{LISTENER}/resend-dead", b'{"courser":null}', "courser"),
        (f"{LISTENER}/rotate-secret", b'{"overlap":60}', "overlap"),
        (f"{LETTERS}/replay-matching", b'{"topic":"commands","resaon":"x"}', "resaon"),
        (f"{LETTERS}/t.commands.dead-letter-0@0/replay", b'{"dryrun":true}', "dryrun"),
        (
            "/v1/listeners",
            b'{"listener":{"url":"https://a.b/","eventTypes":["wix.pro_gallery.gallery_v2_created"],"galleryIDs":[]}}',
            "listener.galleryIDs",
        ),
    ],
)
def test_misspelt_limits_are_refused(path: str, body: bytes, named: str) -> None:
    (violation,) = ask("POST", path, body=body).json()["details"]["validationError"]["fieldViolations"]
    assert (violation["field"], violation["description"]) == (named, "is not known")


@pytest.mark.parametrize("query", ["", f"?galleryId={G}", f"?galleryId={G}&itemsIds={G}&itemsIds={G}"])
def test_the_official_clients_deletions_are_carried_out(query: str) -> None:
    assert ask("DELETE", f"{ITEMS}{query}").status == 504
