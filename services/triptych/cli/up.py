"""`triptych up`: runs servers and services, makes a demo gallery, and prints events until Ctrl-C."""

import asyncio
import contextlib
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import FrameType

import httpx

from triptych.cli.demo import ensure_demo
from triptych.cli.installation import DATA_DIR, announced
from triptych.cli.migrations import MIGRATIONS
from triptych.cli.provision import provision
from triptych.cli.settings import CliSettings
from triptych.cli.watch import watch
from triptych.contract.codec.envelope import DEFAULT_SITE_ID
from triptych.devstack.children import Child, start_child
from triptych.devstack.ports import require_free
from triptych.devstack.stack import Addresses, local_stack
from triptych.gateway.access.keys import Scope, store_key
from triptych.gateway.api.examples import DEV_KEY
from triptych.kit.failures import StartRefused
from triptych.kit.mongo.address import without_user
from triptych.kit.mongo.opening import open_settings_database
from triptych.kit.process.secrets import SUFFIX
from triptych.kit.process.settings import PREFIX
from triptych.kit.upgrading.migrating import Migrator

START_SECONDS = 60.0
# More than a service takes at most (`triptych.kit.process.stopping`).
STOP_SECONDS = 25.0

# In the order of starting. They stop in reverse order.
SERVICES: Mapping[str, Callable[[CliSettings], int]] = {
    "command": lambda settings: settings.command_port,
    "projector": lambda settings: settings.projector_port,
    "webhooks": lambda settings: settings.webhooks_port,
    "gateway": lambda settings: settings.gateway_port,
}


def up(settings: CliSettings) -> None:
    """Run everything until SIGINT or SIGTERM.

    Raises:
        StackUnavailable: the servers cannot run here, a port is in use, or a service ended while starting.
        StartRefused: Kafka or MongoDB cannot be used as configured.
    """
    started = time.monotonic()
    if settings.gateway_tls_certificate_file is not None:
        raise StartRefused(
            f"This command serves plain HTTP on this machine: unset {PREFIX}GATEWAY_TLS_CERTIFICATE_FILE."
        )
    signal.signal(signal.SIGTERM, _handle_as_sigint)
    for name, port_of in SERVICES.items():
        require_free(port_of(settings), server=f"the {name} service", setting=f"{PREFIX}{name.upper()}_PORT")
    with contextlib.suppress(KeyboardInterrupt), _stack(settings) as addresses:
        settings = settings.model_copy(
            update={"kafka_bootstrap": addresses.kafka_bootstrap, "mongo_uri": addresses.mongo_uri}
        )
        asyncio.run(_prepare(settings))
        with announced(settings), _services(settings):
            gateway = f"http://{settings.host}:{settings.gateway_port}"
            gallery_id = _demo(gateway)
            _say(ready_block(settings, gateway, gallery_id, time.monotonic() - started))
            asyncio.run(watch(settings, _say))
    _say("Stopped.")


def _handle_as_sigint(number: int, frame: FrameType | None) -> None:
    # While an event loop runs, asyncio handles SIGINT: it cancels the main task instead of raising KeyboardInterrupt
    # anywhere in the loop. SIGINT itself may be ignored: a shell ignores it for commands that it runs with `&`.
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        raise KeyboardInterrupt
    handler(number, frame)


@contextlib.contextmanager
def _stack(settings: CliSettings) -> Iterator[Addresses]:
    with local_stack(
        data_dir=DATA_DIR,
        kafka_port=settings.kafka_port,
        mongo_port=settings.mongo_port,
        environ=_environ(settings),
        say=_say,
    ) as addresses:
        yield addresses


async def _prepare(settings: CliSettings) -> None:
    _say("provisioning topics and indexes")
    await provision(settings)
    async with open_settings_database(settings) as database:
        # Nothing else uses this installation, so what an earlier checkout has stored can be migrated before the start.
        for name in await Migrator(database, MIGRATIONS).run():
            _say(f"migrated {name}")
        await store_key(database, DEV_KEY, site_id=None, scopes=list(Scope), name="local development")


@contextlib.contextmanager
def _services(settings: CliSettings) -> Iterator[None]:
    environ = {
        # Listeners under development run on this machine too.
        f"{PREFIX}WEBHOOKS_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
        **_environ(settings),
        f"{PREFIX}LOCAL": "true",
        f"{PREFIX}KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        f"{PREFIX}MONGO_URI": settings.mongo_uri,
    }
    children: list[tuple[str, int, Child]] = []
    try:
        _say(f"starting {', '.join(SERVICES)}")
        for name, port_of in SERVICES.items():
            child = start_child(
                [sys.executable, "-m", f"triptych.{name}"], env=environ, log=DATA_DIR / "logs" / f"{name}.log"
            )
            children.append((name, port_of(settings), child))
        for name, port, child in children:
            is_ready = partial(_is_ready, f"http://{settings.host}:{port}/health/ready")
            child.wait_until(is_ready, what=f"The {name} service", timeout=START_SECONDS)
        yield
    finally:
        for _, _, child in reversed(children):
            child.stop(STOP_SECONDS)


def _environ(settings: CliSettings) -> dict[str, str]:
    """The environment of this process, with the address of MongoDB itself instead of the file that holds it."""
    environ = dict(os.environ)
    if environ.pop(f"{PREFIX}MONGO_URI{SUFFIX}", None):
        environ[f"{PREFIX}MONGO_URI"] = settings.mongo_uri
    return environ


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as response:  # noqa: S310 - our own service on this machine
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _demo(gateway: str) -> str:
    try:
        return ensure_demo(gateway, DEV_KEY)
    except httpx.HTTPError as error:
        raise StartRefused(f"The demo gallery cannot be made through {gateway}: {error}") from None


def ready_block(settings: CliSettings, gateway: str, gallery_id: str, seconds: float) -> str:
    """The message for a new user: addresses, the key, and three commands with their output."""
    gallery = f"{gateway}/progallery/v2/galleries/{gallery_id}"
    auth = f"-H 'Authorization: {DEV_KEY}'"
    item = '{"item":{"title":"Hello","text":{"html":"<p>hello</p>"}}}'
    command = f'{{"galleryId":"{gallery_id}","items":[{{"title":"From Kafka","text":{{"html":"<p>hi</p>"}}}}]}}'
    return f"""
Triptych is ready after {seconds:.1f} s.

  gateway   {gateway}   key {DEV_KEY}   site {DEFAULT_SITE_ID}   OpenAPI under {gateway}/docs
  Kafka     {settings.kafka_bootstrap}
  MongoDB   {without_user(settings.mongo_uri)}
  logs      {DATA_DIR}/logs

Try, in another terminal:

  1. Read the gallery with its items, joined:
     curl -s {auth} {gallery}
     -> {{"gallery":{{"id":"{gallery_id}","name":...,"totalItems":...,"items":[...]}}}}

  2. Add an item over HTTP; its event appears below:
     curl -s {auth} -H 'Content-Type: application/json' -d '{item}' {gallery}/items
     -> {{"item":{{"id":"...","title":"Hello","type":"TEXT",...}}}}

  3. Add one over the command topic:
     .venv/bin/triptych send CreateItems '{command}'
     -> {{"commandId":"...","outcome":"accepted","galleryId":"{gallery_id}","sequence":...,"itemIds":["..."]}}

Events, as they happen (Ctrl-C stops everything):
"""


def _say(line: str) -> None:
    print(line, flush=True)
