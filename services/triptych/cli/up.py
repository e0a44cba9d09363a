"""`triptych up`: runs servers and services, makes a demo gallery, and prints events until Ctrl-C."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from triptych.cli.installation import DATA_DIR, announced
from triptych.cli.local import (
    demo_gallery,
    environ_of,
    handle_as_sigint,
    is_ready,
    prepare,
    require_plain_http,
    say,
    service_environ,
)
from triptych.cli.settings import CliSettings
from triptych.cli.watch import watch
from triptych.contract.codec.envelope import DEFAULT_SITE_ID
from triptych.devstack.children import Child, start_child, stop_all
from triptych.devstack.ports import require_free
from triptych.devstack.stack import Addresses, local_stack
from triptych.gateway.api.examples import DEV_KEY
from triptych.kit.mongo.address import without_user
from triptych.kit.process.settings import PREFIX

START_SECONDS = 60.0
# For all services together: more than one takes at most (`triptych.kit.process.stopping`).
STOP_SECONDS = 25.0

# In the order of starting. They are told to stop in reverse order: the gateway takes no more requests first.
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
    require_plain_http(settings)
    signal.signal(signal.SIGTERM, handle_as_sigint)
    for name, port_of in SERVICES.items():
        require_free(port_of(settings), server=f"the {name} service", setting=f"{PREFIX}{name.upper()}_PORT")
    with contextlib.suppress(KeyboardInterrupt), _stack(settings) as addresses:
        settings = settings.model_copy(
            update={"kafka_bootstrap": addresses.kafka_bootstrap, "mongo_uri": addresses.mongo_uri}
        )
        asyncio.run(prepare(settings))
        with announced(settings), _services(settings):
            gateway = f"http://{settings.host}:{settings.gateway_port}"
            gallery_id = demo_gallery(gateway)

            def begun() -> None:
                say(ready_block(settings, gateway, gallery_id, time.monotonic() - started))

            asyncio.run(watch(settings, say, begun=begun))
    say("Stopped.")


@contextlib.contextmanager
def _stack(settings: CliSettings) -> Iterator[Addresses]:
    with local_stack(
        data_dir=DATA_DIR,
        kafka_port=settings.kafka_port,
        mongo_port=settings.mongo_port,
        environ=environ_of(settings),
        say=say,
    ) as addresses:
        yield addresses


@contextlib.contextmanager
def _services(settings: CliSettings) -> Iterator[None]:
    environ = service_environ(settings)
    children: list[tuple[str, int, Child]] = []
    try:
        say(f"starting {', '.join(SERVICES)}")
        for name, port_of in SERVICES.items():
            child = start_child(
                [sys.executable, "-m", f"triptych.{name}"], env=environ, log=DATA_DIR / "logs" / f"{name}.log"
            )
            children.append((name, port_of(settings), child))
        for name, port, child in children:
            answers = partial(is_ready, f"http://{settings.host}:{port}")
            child.wait_until(answers, what=f"The {name} service", timeout=START_SECONDS)
        yield
    finally:
        stop_all([child for _, _, child in reversed(children)], STOP_SECONDS)


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
