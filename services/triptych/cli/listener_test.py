"""`triptych listeners test`: sends a listener one delivery now, and shows the result."""

import asyncio
import time

from triptych.cli.deliveries import show_delivery
from triptych.cli.listeners import ListenerId, app, find_sendable, run
from triptych.cli.refusals import reporting_refusals
from triptych.cli.sites import Site
from triptych.cli.waiting import announced_wait
from triptych.contract.codec.envelope import DEFAULT_SITE_ID
from triptych.kit.failures import StartRefused
from triptych.kit.mongo.driver import Document
from triptych.kit.own_command import as_typed
from triptych.webhooks.admin.administration import Administration
from triptych.webhooks.store.listener_documents import ListenerStatus

MARGIN_SECONDS = 10.0
"""How long the relay may take to see the delivery. The listener's own timeout is added."""
POLL_SECONDS = 0.1


@app.command(name="test", epilog="Example: triptych listeners test 0199d1c2-6a1e-7c3b-9f0e-3a8ef6f5b1c7")
def send_test(listener_id: ListenerId, site: Site = DEFAULT_SITE_ID) -> None:
    """Send one delivery of a test event, for a gallery that does not exist. Prints the result."""
    with reporting_refusals():
        show_delivery(run(lambda admin: _send(admin, site, listener_id)), with_log=True)


async def _send(admin: Administration, site: str, listener_id: str) -> Document:
    listener = await find_sendable(admin, site, listener_id)
    if listener.status is ListenerStatus.PAUSED:
        raise StartRefused(f"Listener {listener_id} is paused. First: {as_typed(f'listeners resume {listener_id}')}")
    sent = await admin.deliveries.send_example(listener)
    ends = time.monotonic() + listener.timeout_seconds + MARGIN_SECONDS
    async with announced_wait("the relay to attempt the delivery; is it running?"):
        while time.monotonic() < ends:
            found = await admin.deliveries.get(site, sent["_id"])
            if found is not None and found["log"]:
                return found
            await asyncio.sleep(POLL_SECONDS)
    see = as_typed(f"deliveries show {sent['_id']}")
    raise StartRefused(
        f"Delivery {sent['_id']} has not been attempted yet. Is the relay running, and is the listener behind? "
        f"See: {see}"
    )
