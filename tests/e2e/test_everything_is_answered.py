"""Records and requests of every kind, mixed: each has its outcome, and afterwards all is well."""

import asyncio
import os
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cryptography.fernet import Fernet

from tests.support.commands import body
from tests.support.everything import Everything, Offered
from tests.support.group_ends import groups_behind
from tests.support.installation import PARTITIONS, Installation
from tests.support.kafka import Record
from tests.support.ours import assert_no_record_of_ours_is_dead, everything_on
from tests.support.product import Gateway, running_command_service, running_gateway, running_projector
from tests.support.putting import put
from tests.support.requests import Requests
from tests.support.waiting import eventually
from tests.support.write_model import until_no_work_is_left
from triptych.cli.settings import CliSettings
from triptych.cli.verify import verify
from triptych.kit.kafka.publishing.letter_pieces import join_letter
from triptych.webhooks.app import compose as compose_webhooks
from triptych.webhooks.settings import WebhookSettings

SEED = 14
RECORDS = int(os.environ.get("TRIPTYCH_TEST_RECORDS", "250"))
REQUESTS = RECORDS // 4
AT_ONCE = 20
SECRETS = Fernet.generate_key().decode()
DEADLINE_SECONDS = 120.0
# Requests wait behind thousands of commands: what is late on a busy machine is not what this is about.
PATIENCE = {"gateway_publish_timeout": 30, "gateway_reply_timeout": 50, "gateway_view_timeout": 30}


async def test_every_sender_has_an_answer_or_a_dead_letter(installation: Installation) -> None:
    topics, bootstrap = installation.topics, installation.addresses.kafka_bootstrap
    offered = Everything(random.Random(SEED), PARTITIONS).records(RECORDS)
    async with running_everything(installation) as gateway:
        requests = Requests(random.Random(SEED), gateway.client)
        await asyncio.gather(put(bootstrap, topics, offered), requests.make(REQUESTS, AT_ONCE))
        assert not requests.unanswered, requests.unanswered[:5]

        await until_all_is_read(installation)
        await until_no_work_is_left(installation.database, DEADLINE_SECONDS)
        found = await gaps(installation, offered)
        assert not found, f"{len(found)} of {len(offered)}: " + "; ".join(found[:5])
        await until_all_is_read(installation)
        ready = await gateway.client.get(f"{gateway.address}/health/ready")
        assert ready.status_code == 200, ready.json()
        await assert_no_record_of_ours_is_dead(installation)
        settings = installation.settings(CliSettings)

        async def is_equal() -> bool:
            return await verify(settings) == []

        await eventually(is_equal, "the views are equal to the write model")


@asynccontextmanager
async def running_everything(installation: Installation) -> AsyncIterator[Gateway]:
    """All four services."""
    relay = installation.settings(WebhookSettings, secrets_key=SECRETS)
    async with (
        running_command_service(installation),
        running_projector(installation, history_retention=86_400),
        compose_webhooks(relay),
        running_gateway(installation, secrets_key=SECRETS, **PATIENCE) as gateway,
    ):
        yield gateway


async def gaps(installation: Installation, offered: list[Offered]) -> list[str]:
    """What has no outcome, or one that it must not have."""
    topics = installation.topics
    answers: dict[str, list[str | None]] = defaultdict(list)
    for reply in await everything_on(installation, topics.replies):
        answer = body(reply)
        answers[answer["commandId"]].append((answer.get("error") or {}).get("code"))
    letters = {
        "commands": letters_of(await everything_on(installation, topics.dead_letter(topics.commands))),
        "events": letters_of(await everything_on(installation, topics.dead_letter(topics.events))),
    }
    found = []
    for one in offered:
        what = f"{one.topic} {one.key!r} {(one.value or b'')[:80]!r} {one.command_id}"
        if one.transaction == "aborted":
            if one.command_id in answers:
                found.append(f"carried out though aborted: {what}")
        elif one.command_id is not None:
            if not answers.get(one.command_id):
                found.append(f"not answered: {what}")
            elif "INTERNAL" in answers[one.command_id]:
                found.append(f"a fault of ours: {what}")
        elif (one.key, one.value) not in letters[one.topic]:
            found.append(f"no dead letter: {what}")
    return found


def letters_of(records: list[Record]) -> set[tuple[bytes | None, bytes | None]]:
    """Keys and values of refused records, put together where a letter came in parts."""
    letters = set()
    parts: dict[bytes, dict[int, bytes]] = defaultdict(dict)
    for record in records:
        part = dict(record.headers).get("dead-letter-part")
        if part is None:
            letters.add((record.key, record.value))
        else:
            parts[record.key][int(part.partition(b"/")[0])] = record.value
    for found in parts.values():
        key, value, _ = join_letter(value for _, value in sorted(found.items()))
        letters.add((key, value))
    return letters


async def until_all_is_read(installation: Installation) -> None:
    """Wait until every group of ours has committed the end of its topic."""

    async def is_read() -> bool:
        return not await groups_behind(installation)

    await eventually(is_read, "all is read", deadline_seconds=DEADLINE_SECONDS)
