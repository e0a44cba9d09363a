"""Who sent a write over HTTP: on its events, and in the log when it is refused, by the key's id and never the key."""

import logging

import pytest

from tests.support.commands import TEXT
from tests.support.installation import Installation
from tests.support.kafka import topic_reader
from tests.support.product import KEY, running_product
from triptych.gateway.access.keys import hash_key, source_of
from triptych.kit.attribution import TextFormatter

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
    lines = [TextFormatter().format(record) for record in caplog.records if record.name.startswith("triptych")]
    told = [line for line in lines if source in line and "site='default'" in line]
    assert any("rejected 1 of 1" in line for line in told), lines
    assert any("DELETE" in line and "404" in line for line in told), lines
    assert not any(KEY in line for line in lines)
