"""The floor of sending: an aiohttp loop with the same signing and one log write for each POST, without product code.

Usage: `python -m benchmarks.baselines.webhooks_floor PORT LISTENERS EVENTS FORMAT`, with the settings of the relay. It
has its events in memory, retries nothing, and checks no addresses.
"""

import asyncio
import base64
import hmac
import json
import os
import sys
import time
from hashlib import sha256

import aiohttp
import jwt
import orjson
import uvloop
from cryptography.hazmat.primitives.asymmetric import rsa
from pymongo import AsyncMongoClient
from pymongo.write_concern import WriteConcern

from benchmarks.webhooks import event_values

IN_FLIGHT = 64
SECRET = b"0" * 32


async def main(port: int, listeners: int, events: int, dialect: str) -> None:
    """Send every event to every listener."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    client: AsyncMongoClient[dict[str, object]] = AsyncMongoClient(os.environ["TRIPTYCH_MONGO_URI"])
    log = client[os.environ["TRIPTYCH_MONGO_DATABASE"]].get_collection("log", write_concern=WriteConcern("majority"))
    pending = [(value, number) for value in event_values(events) for number in range(listeners)]
    pending.reverse()
    tokens: dict[str, bytes] = {}

    def sign(event: dict[str, str], value: bytes) -> tuple[dict[str, str], bytes]:
        at = int(time.time())
        if dialect == "wix-jwt":
            if event["id"] not in tokens:
                middle = {"eventType": event["eventType"], "instanceId": "i", "data": value.decode()}
                claims = {"data": json.dumps(middle), "iat": at, "exp": at + 300_000}
                tokens[event["id"]] = jwt.encode(claims, key, algorithm="RS256").encode()
            return {"content-type": "text/plain"}, tokens[event["id"]]
        body = orjson.dumps({"type": event["eventType"], "timestamp": event["eventTime"], "data": event})
        signature = base64.b64encode(hmac.digest(SECRET, f"{event['id']}.{at}.".encode() + body, sha256)).decode()
        headers = {
            "content-type": "application/json",
            "webhook-id": event["id"],
            "webhook-timestamp": str(at),
            "webhook-signature": f"v1,{signature}",
        }
        return headers, body

    async def work(session: aiohttp.ClientSession) -> None:
        while pending:
            value, number = pending.pop()
            event = orjson.loads(value)
            headers, body = sign(event, value)
            async with session.post(f"http://127.0.0.1:{port}/{number}", data=body, headers=headers) as response:
                answer = await response.read()
                await log.insert_one(
                    {
                        "event": event["id"],
                        "listener": number,
                        "headers": headers,
                        "status": response.status,
                        "a": answer,
                    }
                )

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(work(session) for _ in range(IN_FLIGHT)))
    await asyncio.Event().wait()  # the measuring process kills it when all deliveries are received


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
