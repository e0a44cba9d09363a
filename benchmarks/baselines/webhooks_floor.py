"""The floor of the relay: the cheapest known way from waiting events to recorded deliveries.

Usage: `python -m benchmarks.baselines.webhooks_floor PORT LISTENERS FORMAT`, with the settings of the relay. Like the
relay, it reads the events topic, stores events and deliveries before it commits their offsets, signs and posts, and
records each outcome. It retries nothing, checks no addresses, and has neither leases of its own nor limits.
"""

import asyncio
import base64
import hmac
import sys
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import orjson
import uuid_utils
import uvloop
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from benchmarks.baselines.floor_http import ClientConnection
from benchmarks.baselines.floor_kafka import Soon, each_batch, open_consumer, open_publisher, tune_garbage_collector
from benchmarks.baselines.floor_mongo import Document, Mongo, open_mongo

IN_FLIGHT = 64
# Few enough that little is planned before the first request, when the measurement begins.
PLANNED_AT_ONCE = 1_000
QUEUED_MAX = 2 * PLANNED_AT_ONCE
RECORD_SECONDS = 0.02
LEASE, RETENTION = timedelta(seconds=45), timedelta(days=30)
TOKEN_SECONDS = 300_000
SECRET = b"0" * 32
INSTANCE = "5a3c1d7e-6f0b-4c0d-9d53-3f9a9b2f2a54"


class Signer:
    """Signs events. All listeners share the body of an event, which may be a token."""

    def __init__(self, dialect: str) -> None:
        self._is_token = dialect == "wix-jwt"
        self._key = generate_private_key(public_exponent=65_537, key_size=2_048)
        self._last: tuple[str, bytes] = ("", b"")
        self._header = _unpadded(orjson.dumps({"alg": "RS256", "kid": "floor", "typ": "JWT"}))

    def body(self, event: Document) -> bytes:
        """The body of all requests with this event. They follow each other."""
        if self._last[0] != event["id"]:
            self._last = event["id"], self._make_body(event)
        return self._last[1]

    def _make_body(self, event: Document) -> bytes:
        content = dict(event)
        event_type = content.pop("eventType")
        if not self._is_token:
            return orjson.dumps({"type": event_type, "timestamp": event["eventTime"], "data": content})
        payload = {
            "eventType": event_type,
            "instanceId": INSTANCE,
            "data": orjson.dumps(content).decode(),
            "identity": orjson.dumps({"identityType": "APP", "appId": INSTANCE}).decode(),
            "accountInfo": {"siteId": "default"},
        }
        at = int(time.time())
        claims = orjson.dumps({"data": orjson.dumps(payload).decode(), "iat": at, "exp": at + TOKEN_SECONDS})
        signed = self._header + b"." + _unpadded(claims)
        return signed + b"." + _unpadded(self._key.sign(signed, PKCS1v15(), SHA256()))

    def headers(self, event_id: str, body: bytes) -> dict[str, str]:
        """The headers of one request."""
        if self._is_token:
            return {"content-type": "text/plain"}
        at = int(time.time())
        signature = base64.b64encode(hmac.digest(SECRET, f"{event_id}.{at}.".encode() + body, sha256)).decode()
        return {
            "content-type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": str(at),
            "webhook-signature": f"v1,{signature}",
        }


class Floor:
    """Plans deliveries, and sends them on a fixed number of connections."""

    def __init__(self, mongo: Mongo, port: int, listeners: int, signer: Signer) -> None:
        self._mongo = mongo
        self._port = port
        self._listeners = listeners
        self._signer = signer
        self._queue: asyncio.Queue[tuple[Document, Document]] = asyncio.Queue()
        self._outcomes = Soon[Document](RECORD_SECONDS, lambda found: self._mongo.update("deliveries", found))

    async def plan(self, partitions: int) -> None:
        """Store the deliveries of each batch of events, until killed."""
        async with open_consumer("events", range(partitions)) as consumer:
            async for batch in each_batch(consumer, max(1, PLANNED_AT_ONCE // self._listeners)):
                await self._plan([record.value for records in batch.values() for record in records])
                while self._queue.qsize() > QUEUED_MAX:
                    await asyncio.sleep(RECORD_SECONDS)

    async def _plan(self, values: list[bytes]) -> None:
        now = datetime.now(UTC)
        events: list[Document] = []
        deliveries: list[tuple[Document, Document]] = []
        for value in values:
            event = orjson.loads(value)
            stored = _event_document(event, value, now)
            events.append(stored)
            deliveries += [(_delivery(stored, number, now), event) for number in range(self._listeners)]
        await self._mongo.insert("webhook_events", events)
        await self._mongo.insert("deliveries", [delivery for delivery, _ in deliveries])
        for entry in deliveries:
            self._queue.put_nowait(entry)

    async def send(self) -> None:
        """Send one delivery after the other on a connection, until killed."""
        connection = await ClientConnection.open(self._port)
        while True:
            delivery, event = await self._queue.get()
            body = self._signer.body(event)
            started = time.perf_counter()
            headers = self._signer.headers(delivery["eventId"], body)
            fields = "\r\n".join(f"{name}: {value}" for name, value in headers.items())
            head = f"POST /{delivery['listenerId']} HTTP/1.1\r\nHost: floor\r\nContent-Length: {len(body)}\r\n{fields}"
            status, answer = await connection.exchange(b"%b\r\n\r\n%b" % (head.encode(), body))
            seconds = round(time.perf_counter() - started, 4)
            self._outcomes.add([self._outcome(delivery, headers, status, seconds, answer)])

    def _outcome(
        self, delivery: Document, headers: dict[str, str], status: int, seconds: float, answer: bytes
    ) -> Document:
        now = datetime.now(UTC)
        entry: dict[str, Any] = {
            "at": now,
            "url": f"http://127.0.0.1:{self._port}/{delivery['listenerId']}",
            "headers": headers,
            "status": status,
            "failure": None,
            "text": None,
            "seconds": seconds,
            "answer": answer,
        }
        ended = {"status": "delivered", "reason": None, "endedAt": now, "expiresAt": now + RETENTION, "lease": None}
        query = {"_id": delivery["_id"], "lease": delivery["lease"]}
        return {"q": query, "u": {"$set": ended, "$push": {"log": entry}}}


def _event_document(event: Document, value: bytes, now: datetime) -> Document:
    return {
        "_id": event["id"],
        "siteId": "default",
        "eventType": event["eventType"],
        "galleryId": event["entityId"],
        "sequence": int(event["entityEventSequence"]),
        "occurredAt": datetime.fromisoformat(event["eventTime"]),
        "value": value,
        "expiresAt": now + RETENTION,
    }


def _delivery(event: Document, listener: int, now: datetime) -> Document:
    """A delivery, stored as claimed."""
    return {
        "_id": str(uuid_utils.uuid7()),
        "siteId": "default",
        "listenerId": str(listener),
        "eventId": event["_id"],
        "eventType": event["eventType"],
        "galleryId": event["galleryId"],
        "sequence": event["sequence"],
        "occurredAt": event["occurredAt"],
        "manual": False,
        "ordered": False,
        "status": "pending",
        "dueAt": now + LEASE,
        "lease": "floor",
        "attempts": 1,
        "failures": 0,
        "reason": None,
        "log": [],
        "createdAt": now,
    }


def _unpadded(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


async def main(port: int, listeners: int, dialect: str) -> None:
    """Run until killed."""
    async with open_publisher() as publisher, open_mongo() as mongo:
        partitions = await publisher.partitions("events")
        floor = Floor(mongo, port, listeners, Signer(dialect))
        tune_garbage_collector()
        await asyncio.gather(floor.plan(partitions), *(floor.send() for _ in range(IN_FLIGHT)))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
