"""Receives webhooks: verifies each delivery, answers, and handles each event once."""

import os
import sys
from collections import OrderedDict

import uvicorn
from fastapi import FastAPI, Request, Response

from triptych.client.webhooks import Delivery, InvalidDelivery, WebhookVerifier

BODY_MAX = 1024 * 1024
REMEMBERED = 10_000

# While the secret of the listener is rotated, there are two, separated by a space.
verifier = WebhookVerifier(*os.environ["WEBHOOK_SECRET"].split())
app = FastAPI()

handled: OrderedDict[str, None] = OrderedDict()
"""Ids of events that have been handled. In your service, a table with a unique key, in the effect's transaction."""


@app.post("/")
async def receive(request: Request) -> Response:
    """Take a delivery. The relay tries again later if the answer is not 2xx."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_MAX:
            return Response(status_code=413)
    try:
        delivery = verifier.verify(request.headers, bytes(body))
    except InvalidDelivery as refused:
        print(f"refused: {refused}", file=sys.stderr, flush=True)
        return Response(status_code=400)
    # Answer within the listener's timeout. If handling takes longer, store the event first and handle it afterwards.
    handle(delivery)
    return Response(status_code=204)


def handle(delivery: Delivery) -> None:
    """Print an event: your code. Events may come in any order; the sequence says which of two is newer."""
    event = delivery.event
    if event.id in handled:
        return
    print(f"{event.entity_id}  #{event.entity_event_sequence}  {event.event_type.value}", flush=True)
    handled[event.id] = None
    if len(handled) > REMEMBERED:
        handled.popitem(last=False)


if __name__ == "__main__":
    host, port = os.environ.get("LISTEN", "127.0.0.1:9000").split(":")
    uvicorn.run(app, host=host, port=int(port), log_level="warning")
