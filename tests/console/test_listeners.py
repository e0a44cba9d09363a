"""People administer listeners in a browser, see how they do, and send again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, expect

from tests.support.accessibility import serious_problems
from tests.support.console_flows import NASTY, Requests, create_gallery, sign_in
from tests.support.installation import Installation
from tests.support.product import Gateway
from tests.support.receiver import Receiver, open_receiver, status
from tests.support.relay import ALL_TYPES, relay_settings
from triptych.kit.mongo.driver import Document
from triptych.webhooks.app import compose
from triptych.webhooks.store.delivery_documents import DELIVERIES, new_delivery
from triptych.webhooks.store.listener_documents import listener_of
from triptych.webhooks.store.listeners import LISTENERS

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("console")]

NOW = datetime.now(UTC).replace(microsecond=0)
OpenRelay: TypeAlias = Callable[[], AbstractAsyncContextManager[None]]


@pytest.fixture
def running_relay(made: Installation) -> OpenRelay:
    """Runs a relay."""

    @asynccontextmanager
    async def run() -> AsyncIterator[None]:
        async with compose(relay_settings(made)):
            yield

    return run


@pytest_asyncio.fixture(loop_scope="package")
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver of webhooks."""
    async with open_receiver() as opened:
        yield opened


async def create_listener(gateway: Gateway, url: str = "https://a.example/hooks", **fields: Any) -> str:
    listener = {"url": url, "eventTypes": ALL_TYPES, **fields}
    answer = await gateway.client.post(f"{gateway.address}/v1/listeners", json={"listener": listener})
    created: str = answer.json()["listener"]["id"]
    return created


async def plant(made: Installation, listener_id: str, count: int, **fields: Any) -> None:
    """Store deliveries of a listener, which no relay has planned."""
    found = await made.database[LISTENERS].find_one({"_id": listener_id})
    assert found is not None
    event = {"_id": listener_id, "eventType": ALL_TYPES[0], "galleryId": listener_id, "sequence": 1, "occurredAt": NOW}
    attempt: Document = {"at": NOW, "url": "", "headers": {}, "status": 200, "failure": None, "text": "", "answer": b""}
    fields = {"status": "delivered", "attempts": 1, "endedAt": NOW, "expiresAt": NOW + timedelta(hours=1), **fields}
    log = [{**attempt, "seconds": 0.02}]
    made_up = [
        {**new_delivery(listener_of(found), event, NOW, manual=True), "log": log, **fields} for _ in range(count)
    ]
    await made.database[DELIVERIES].insert_many(made_up)


async def test_a_listener_from_its_creation_to_its_end(
    page: Page, gateway: Gateway, running_relay: OpenRelay, receiver: Receiver
) -> None:
    receiver.script = [status(202, NASTY.encode())]
    async with running_relay():
        await sign_in(page, gateway, "/#/listeners")
        await expect(page.get_by_text("This site has no listeners.")).to_be_visible()
        await page.get_by_role("link", name="New listener").click()
        await page.get_by_label("Address").fill(receiver.url())
        await page.get_by_label("Description").fill(NASTY)
        await page.get_by_label("Timeout in seconds").fill("99")
        await page.get_by_role("button", name="New listener").click()
        await expect(page.get_by_role("alert")).to_contain_text("timeoutSeconds")
        await page.get_by_label("Timeout in seconds").fill("2")
        await page.get_by_role("button", name="New listener").click()
        secret = page.get_by_role("region", name="The secret, shown only now")
        await expect(secret).to_contain_text("whsec_")
        shown = await secret.locator("pre").inner_text()
        await expect(page.get_by_text("No attempts yet")).to_be_visible()
        await expect(page.get_by_text(NASTY)).to_be_visible()

        await page.get_by_role("button", name="Send a test event").click()
        await expect(page.get_by_text("100 % of the last attempt")).to_be_visible()
        await page.get_by_role("link", name="Show its delivery").click()
        await expect(page.get_by_role("paragraph").filter(has_text="Delivered")).to_be_visible()
        await expect(page.get_by_text("webhook-signature: v1,")).to_be_visible()
        await expect(page.get_by_text(NASTY)).to_be_visible()
        await expect(page.get_by_text('"originatedFrom": "Test"')).to_be_visible()
        await page.get_by_role("button", name="Send again").click()
        await page.get_by_role("link", name="Show its delivery").click()
        await expect(page.get_by_role("paragraph").filter(has_text="Delivered sent again")).to_be_visible()
        await receiver.until(2)

    await page.get_by_role("link", name="Back to the listener").click()
    await expect(page.get_by_role("region", name="Deliveries").get_by_role("listitem")).to_have_count(2)
    await expect(secret).to_have_count(0)
    await page.reload()
    await expect(page.get_by_role("button", name="Pause")).to_be_visible()
    assert shown not in await page.content()
    await page.get_by_role("button", name="New secret").click()
    await page.get_by_role("button", name="Yes").click()
    await expect(secret).to_contain_text("whsec_")
    await page.get_by_role("button", name="I have it").click()
    await expect(secret).to_have_count(0)
    await page.get_by_role("button", name="Edit").click()
    await page.get_by_role("checkbox", name="Item deleted").uncheck()
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("definition").filter(has_text="Item created")).not_to_contain_text("Item deleted")
    await page.get_by_role("button", name="Pause").click()
    await expect(page.get_by_text("Paused")).to_be_visible()
    await expect(page.get_by_role("button", name="Send a test event")).to_be_disabled()
    await page.get_by_role("button", name="Resume").click()
    await page.get_by_role("button", name="Delete").click()
    await page.get_by_role("button", name="Yes").click()
    await expect(page.get_by_text("This site has no listeners.")).to_be_visible()
    assert await page.title() == "Triptych"


async def test_dead_deliveries_and_events_are_sent_again(
    page: Page, gateway: Gateway, running_relay: OpenRelay, receiver: Receiver
) -> None:
    receiver.usual = status(500)
    listener_id = await create_listener(gateway, receiver.url(), retryDelays=[])
    await sign_in(page, gateway, f"/#/listeners/{listener_id}")
    async with running_relay():
        for number in range(5):
            await create_gallery(gateway, f"{number}")
        await expect(page.get_by_role("alert")).to_contain_text("The last five attempts have failed.")
        await page.get_by_role("combobox", name="State").select_option("Dead")
        log = page.get_by_role("region", name="Deliveries").get_by_role("listitem")
        await expect(log).to_have_count(5)
        await page.get_by_role("combobox", name="Event type").select_option("Item deleted")
        await expect(page.get_by_text("No deliveries.")).to_be_visible()
        await page.get_by_role("combobox", name="Event type").select_option("Gallery created")
        await expect(log).to_have_count(5)

        receiver.usual = status(200)
        await page.get_by_role("button", name="Send all dead ones again").click()
        await expect(page.get_by_text("5 deliveries queued. Done.")).to_be_visible()
        await expect(page.get_by_text("50 % of the last 10 attempts")).to_be_visible()
        await expect(page.get_by_role("alert")).to_have_count(0)
        await page.get_by_text("Send stored events again").click()
        await page.get_by_label("From").fill(f"{datetime.now() - timedelta(hours=1):%Y-%m-%dT%H:%M:%S}")  # noqa: DTZ005
        await page.get_by_role("button", name="Send again", exact=True).click()
        await expect(page.get_by_text("5 events read, 5 deliveries queued. Done.")).to_be_visible()
        await receiver.until(15)


async def test_what_happens_before_the_stream_opens_is_shown(
    page: Page, gateway: Gateway, made: Installation, running_relay: OpenRelay
) -> None:
    listener_id = await create_listener(gateway)
    may_open = asyncio.Event()

    async def hold(route: Route) -> None:
        await may_open.wait()
        await route.continue_()

    await page.route("**/events", hold)
    async with running_relay():  # without one, the page looks again by itself
        await sign_in(page, gateway, "/#/listeners")
        await expect(page.get_by_text("No attempts yet")).to_be_visible()
        await plant(made, listener_id, 1)
        may_open.set()
        await expect(page.get_by_text("No attempts yet")).to_have_count(0)


async def test_a_missing_relay_is_said_and_found_again(
    page: Page, gateway: Gateway, running_relay: OpenRelay, receiver: Receiver
) -> None:
    await create_listener(gateway, receiver.url())
    async with running_relay():
        await sign_in(page, gateway, "/#/listeners")
        await expect(page.get_by_text("No attempts yet")).to_be_visible()
        await expect(page.get_by_role("alert")).to_have_count(0)
    await create_gallery(gateway, "meanwhile")
    await expect(page.get_by_role("alert")).to_contain_text("No relay is running")
    async with running_relay():
        await expect(page.get_by_role("alert")).to_have_count(0)
        await receiver.until(1)
        await expect(page.get_by_text("Answers", exact=True)).to_be_visible()


async def test_servers_that_do_not_answer_are_named(
    page: Page, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    await create_listener(gateway)
    await sign_in(page, gateway, "/#/listeners")
    listed = page.get_by_role("link", name="https://a.example/hooks")
    await expect(listed).to_be_visible()
    kafka = page.get_by_role("alert").filter(has_text="Kafka does not answer the gateway.")
    with monkeypatch.context() as patched:
        patched.setattr(gateway.app.state.gateway.streams, "problem", lambda: "Kafka does not answer")
        await expect(kafka).to_be_visible()
    await expect(kafka).to_have_count(0)
    await page.route("**/v1/**", lambda route: route.abort())
    await page.route("**/health/ready", lambda route: route.fulfill(status=503, json={"problems": {"mongodb": "no"}}))
    await page.reload()
    await expect(page.get_by_role("alert")).to_contain_text("MongoDB does not answer the gateway.")
    await page.unroute_all()
    await expect(listed).to_be_visible()


async def test_long_lists_have_pages_and_quiet_ones_ask_for_nothing(
    page: Page, gateway: Gateway, made: Installation, running_relay: OpenRelay
) -> None:
    ids = [await create_listener(gateway, f"https://a.example/{number}") for number in range(11)]
    await plant(made, max(ids), 45)
    asked = Requests(page)
    async with running_relay():
        await page.clock.install()
        await sign_in(page, gateway, "/#/listeners")
        rows = page.get_by_role("main").get_by_role("list").get_by_role("listitem")
        await expect(rows).to_have_count(10)
        await asked.settle()
        before = len(asked.urls)
        await page.clock.run_for(600_000)
        assert len(asked.urls) == before
        assert len([url for url in asked.urls if "/v1/" in url]) <= 5  # the key, and two reads: one before the stream
        await page.get_by_role("button", name="Next page").click()
        await expect(rows).to_have_count(1)
        await page.get_by_role("link", name="https://a.example/").click()
        for count, button in ((20, "Next page"), (20, "Next page"), (5, "First page"), (20, "")):
            await expect(page.get_by_role("region", name="Deliveries").get_by_role("listitem")).to_have_count(count)
            if button:
                await page.get_by_role("button", name=button).click()


async def test_pages_of_listeners_are_accessible_narrow_and_dark(
    page: Page, gateway: Gateway, made: Installation, running_relay: OpenRelay
) -> None:
    listener_id = await create_listener(gateway, f"https://a.example/{'a' * 200}", description="b" * 200)
    await plant(made, listener_id, 1)
    await page.set_viewport_size({"width": 360, "height": 640})
    await sign_in(page, gateway, "/#/listeners")
    places = {
        "/#/listeners": page.get_by_text("Half open").or_(page.get_by_text("Closed: requests as usual")),
        "/#/listeners/new": page.get_by_label("Address"),
        f"/#/listeners/{listener_id}": page.get_by_role("region", name="Deliveries").get_by_role("link"),
    }
    for place, shown in places.items():
        await page.goto(place)
        await expect(shown.first).to_be_visible()
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            assert await serious_problems(page) == [], (place, scheme)
        assert await page.evaluate("document.scrollingElement.scrollWidth") == 360, place
    await page.get_by_text("Verify a delivery").click()
    for language in ("Python", "JavaScript", "Java", "Go", "Shell with OpenSSL"):
        await page.get_by_label("Language").select_option(language)
        await expect(
            page.get_by_text("webhook-id" if language != "Shell with OpenSSL" else "openssl dgst")
        ).to_be_visible()
    assert await page.evaluate("document.scrollingElement.scrollWidth") == 360
    await page.get_by_role("region", name="Deliveries").get_by_role("link").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Attempt 1: 200 after 20 ms")).to_be_visible()
    assert await serious_problems(page) == []
    assert await page.evaluate("document.scrollingElement.scrollWidth") == 360
