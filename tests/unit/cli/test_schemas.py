"""`triptych schemas register` against a registry: what it sends, what it changes, and how it explains refusals."""

import json
import os
import socket
import uuid
from collections.abc import Sequence

import httpx
import pytest
from typer.testing import CliRunner

from tests.support.schema_registry import SchemaRegistry, serving
from triptych.cli.__main__ import app
from triptych.cli.schemas.registering import Outcome, State, register_all
from triptych.cli.schemas.registry import Registry, check_address
from triptych.cli.schemas.subjects import Subject, level_of, subjects
from triptych.contract.topics import Topics
from triptych.kit.failures import StartRefused, TransientFailure

OLD = '{"type":"object","title":"E","properties":{"a":{"type":"string"}},"required":["a"]}'
ADDED = OLD.replace('"properties":{', '"properties":{"b":{"type":"string"},')
BROKEN = OLD.replace('"string"', '"integer"')
EVENT, COMMAND = "triptych.events-E", "triptych.commands-C"


def _event(schema: str = OLD) -> Subject:
    return Subject(EVENT, schema, level_of("events"))


def _command(schema: str = OLD) -> Subject:
    return Subject(COMMAND, schema, level_of("commands"))


async def _register(registry: SchemaRegistry, *given: Subject, dry_run: bool = False) -> list[Outcome]:
    async with registry.client() as client:
        return [outcome async for outcome in register_all(Registry(client, "http://r"), given, dry_run=dry_run)]


def test_subjects_are_named_by_topic_and_title() -> None:
    found = {subject.name: subject for subject in subjects(Topics("shop."))}
    assert {"shop.commands-MoveItem", "shop.replies-Reply", "shop.events-ItemCreated"} <= found.keys()
    assert {"shop.events-SnapshotItem", "shop.galleries-GalleryRecord", "shop.galleries-ItemRecord"} <= found.keys()
    assert len(found) == 24
    for name, subject in found.items():
        assert name.rpartition("-")[2] == json.loads(subject.schema)["title"]
        assert subject.level == ("NONE" if ".commands-" in name else "FORWARD_TRANSITIVE")


async def test_registering_twice_changes_nothing() -> None:
    registry = SchemaRegistry()
    first = await _register(registry, _event(), _command())
    assert [(one.state, one.level) for one in first] == [("registered", "FORWARD_TRANSITIVE"), ("registered", "NONE")]
    assert registry.subjects == {EVENT: [OLD], COMMAND: [OLD]}
    assert registry.levels == {EVENT: "FORWARD_TRANSITIVE", COMMAND: "NONE"}
    registry.requests.clear()
    again = await _register(registry, _event(), _command())
    assert [(one.state, one.level, one.detail) for one in again] == [(State.UNCHANGED, None, "version 1")] * 2
    assert registry.requests
    assert registry.writes == []


async def test_an_addition_becomes_the_next_version() -> None:
    registry = SchemaRegistry()
    await _register(registry, _event(), _command())
    assert {one.state for one in await _register(registry, _event(ADDED), _command(ADDED))} == {State.REGISTERED}
    assert registry.subjects == {EVENT: [OLD, ADDED], COMMAND: [OLD, ADDED]}


async def test_a_level_that_somebody_has_changed_is_set_again() -> None:
    registry = SchemaRegistry()
    await _register(registry, _event())
    registry.levels[EVENT] = "BACKWARD"
    (outcome,) = await _register(registry, _event(), dry_run=True)
    assert (outcome.state, outcome.level, registry.levels[EVENT]) == (State.UNCHANGED, "FORWARD_TRANSITIVE", "BACKWARD")
    await _register(registry, _event())
    assert registry.levels[EVENT] == "FORWARD_TRANSITIVE"


async def test_a_dry_run_says_what_would_happen_and_changes_nothing() -> None:
    registry = SchemaRegistry()
    (outcome,) = await _register(registry, _event(), dry_run=True)
    assert outcome == (EVENT, State.WOULD_REGISTER, "FORWARD_TRANSITIVE", "")
    await _register(registry, _event())
    registry.requests.clear()
    allowed, refused = await _register(registry, _event(ADDED), _event(BROKEN), dry_run=True)
    assert allowed.state is State.WOULD_REGISTER
    assert (refused.state, refused.detail) == (State.REFUSED, "a type-widened")
    assert registry.writes == []


async def test_a_refused_schema_does_not_stop_the_others() -> None:
    registry = SchemaRegistry()
    await _register(registry, _event())
    broken, invalid, good = await _register(registry, _event(BROKEN), _command("[]"), _command())
    assert (broken.state, invalid.state, good.state) == (State.REFUSED, State.REFUSED, State.REGISTERED)
    assert "incompatible with an earlier schema" in broken.detail
    assert "(status 409, code 409)" in broken.detail
    assert invalid.detail == "Invalid schema (status 422, code 42201)"
    assert registry.subjects[EVENT] == [OLD]


@pytest.mark.parametrize(
    ("status", "text", "kind", "message"),
    [
        (
            401,
            '{"error_code":401,"message":"no"}',
            StartRefused,
            "refuses the credentials (status 401): check TRIPTYCH_S",
        ),
        (403, "", StartRefused, "refuses the credentials (status 403)"),
        (404, "<html>nothing here</html>", StartRefused, "does not answer like a schema registry: POST /subjects/trip"),
        (301, "", StartRefused, "has status 301"),
        (200, "<html>a login page</html>", StartRefused, "does not answer like a schema registry"),
        (
            500,
            '{"error_code":50001,"message":"store failed"}',
            TransientFailure,
            "has a fault: store failed (status 500)",
        ),
        (429, "", TransientFailure, "(status 429)"),
    ],
)
async def test_each_refusal_is_explained(status: int, text: str, kind: type[Exception], message: str) -> None:
    registry = SchemaRegistry()
    registry.forced = (status, text)
    with pytest.raises(kind) as refused:
        await _register(registry, _event())
    assert message in str(refused.value)


async def test_a_server_that_is_no_registry_is_refused_at_once() -> None:
    registry = SchemaRegistry()
    registry.forced = (200, "{}")
    async with registry.client() as client:
        with pytest.raises(StartRefused, match="does not answer like a schema registry: http://r/config is missing"):
            await Registry(client, "http://r/").check()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://me:secret-1@registry.example.com", "must not contain credentials"),
        ("https://me@registry.example.com", "must not contain credentials"),
        ("registry.example.com", "is no address of a schema registry"),
        ("ftp://registry.example.com", "is no address of a schema registry"),
        ("https://registry.example.com?token=1", "is no address of a schema registry"),
        ("http://[::1", "is no address of a schema registry"),
        ("http://registry.example.com", "has no TLS"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(url: str, message: str) -> None:
    with pytest.raises(StartRefused) as refused:
        check_address(url, has_credentials=True)
    assert message in str(refused.value)
    assert "secret-1" not in str(refused.value)


def test_addresses_that_show_no_credentials_are_accepted() -> None:
    check_address("http://registry.example.com/apis/ccompat/v7", has_credentials=False)
    check_address("http://127.0.0.1:8081", has_credentials=True)
    check_address("https://registry.example.com", has_credentials=True)


def _run(words: Sequence[str], **environ: str) -> tuple[int, str]:
    done = CliRunner(env={f"TRIPTYCH_{name}": value for name, value in environ.items()}).invoke(
        app, ["schemas", *words]
    )
    return done.exit_code, done.output


def test_the_command_registers_all_records_with_the_credentials_of_the_environment() -> None:
    registry = SchemaRegistry("me", "secret-1")
    secrets = {"SCHEMA_REGISTRY_USER": "me", "SCHEMA_REGISTRY_PASSWORD": "secret-1", "TOPIC_PREFIX": "shop."}
    with serving(registry) as url:
        status, output = _run(["register", "--registry", url, "--json"], **secrets)
        outcomes = [json.loads(line) for line in output.splitlines()]
        assert status == 0, output
        assert {one["state"] for one in outcomes} == {"registered"}
        assert sorted(registry.subjects) == sorted(subject.name for subject in subjects(Topics("shop.")))
        registry.levels["shop.events-ItemCreated"] = "BACKWARD"
        registry.subjects["shop.replies-Reply"] = ['{"type":"string"}']
        status, output = _run(["register", "--registry", url], **secrets)
        assert status == 1
        assert "unchanged       shop.events-ItemCreated  version 1  compatibility FORWARD_TRANSITIVE" in output
        assert "refused         shop.replies-Reply  Schema being registered is incompatible" in output
        status, output = _run(
            ["register", "--registry", url], SCHEMA_REGISTRY_USER="me", SCHEMA_REGISTRY_PASSWORD="other-1"
        )
        assert status == 78
        assert "refuses the credentials (status 401)" in output
        assert "other-1" not in output


def test_a_registry_that_does_not_answer_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        status, output = _run(["register", "--registry", url])
    assert status == 78
    assert f"The schema registry at {url} does not answer" in output


def test_two_kinds_of_credentials_are_refused() -> None:
    secrets = {"SCHEMA_REGISTRY_TOKEN": "t-1", "SCHEMA_REGISTRY_PASSWORD": "p-1"}
    status, output = _run(["register", "--registry", "http://127.0.0.1:1"], **secrets)
    assert status == 78
    assert "but not both" in output


@pytest.mark.skipif("TRIPTYCH_TEST_REGISTRY" not in os.environ, reason="needs the address of a real registry")
async def test_a_real_registry_agrees_with_the_stand_in() -> None:
    event, command = (one._replace(name=f"{one.name}-{uuid.uuid4()}") for one in (_event(), _command()))
    async with httpx.AsyncClient() as client:
        registry = Registry(client, os.environ["TRIPTYCH_TEST_REGISTRY"])
        await registry.check()

        async def states(*given: Subject, dry_run: bool = False) -> list[State]:
            return [outcome.state async for outcome in register_all(registry, given, dry_run=dry_run)]

        assert await states(event, dry_run=True) == [State.WOULD_REGISTER]
        assert await states(event, command) == [State.REGISTERED, State.REGISTERED]
        assert await states(event, command) == [State.UNCHANGED, State.UNCHANGED]
        assert await registry.level(event.name) == "FORWARD_TRANSITIVE"
        added = [event._replace(schema=ADDED), command._replace(schema=ADDED)]
        assert await states(*added, dry_run=True) == [State.WOULD_REGISTER, State.WOULD_REGISTER]
        assert await states(*added) == [State.REGISTERED, State.REGISTERED]
        broken, invalid = event._replace(schema=BROKEN), command._replace(schema='{"type":')
        assert await states(broken, dry_run=True) == [State.REFUSED]
        assert await states(broken, invalid) == [State.REFUSED, State.REFUSED]
