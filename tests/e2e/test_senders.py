"""Who sent a write over HTTP: on its events, and in the log when it is refused, by the key's id and never the key."""

import logging

import pytest

from tests.support.commands import TEXT
from tests.support.installation import Installation
from tests.support.kafka import topic_reader
from tests.support.log_lines import logged
from tests.support.product import KEY, running_product
from triptych.gateway.access.keys import hash_key, source_of

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
NO_TRACE = "00-00000000000000000000000000000000-00f067aa0ba902b7-01"


async def test_writes_name_the_key_they_came_with(installation: Installation, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "triptych")
    source = source_of(hash_key(KEY))
    async with (
        running_product(installation) as gateway,
        topic_reader(installation.addresses.kafka_bootstrap, installation.topics.events) as events,
    ):
        for trace in (TRACE, NO_TRACE):
            headers = {"traceparent": trace, "tracestate": "a=1"}
            body = {"gallery": {"items": [TEXT]}}
            (await gateway.client.post("/v2/galleries", json=body, headers=headers)).raise_for_status()
        published = [dict(record.headers) for record in await events.read_count(4)]
        refused = await gateway.client.delete("/v2/galleries/10000000-0000-4000-8000-000000000000")
        assert refused.status_code == 404
    assert {headers["ce_commandsource"] for headers in published} == {source.encode()}
    traces = [(headers.get("traceparent"), headers.get("tracestate")) for headers in published]
    assert sorted(traces, key=str) == sorted([(TRACE.encode(), b"a=1")] * 2 + [(None, None)] * 2, key=str)
    lines = [line for line in logged(caplog.records) if line["logger"].startswith("triptych")]
    told = [line for line in lines if line.get("source") == source and line.get("site_id") == "default"]
    (rejected,) = [line for line in told if line["event"] == "commands were rejected"]
    (answered,) = [line for line in told if line["event"] == "a request was answered"]
    assert (rejected["count"], rejected["reason"]) == (1, "NOT_FOUND")
    assert (answered["method"], answered["status"]) == ("DELETE", 404)
    assert rejected["correlation_id"] == answered["request_id"]
    assert not any(KEY in str(line) for line in lines)
