"""What the commands that run services on this machine share: preparing servers, environments, readiness, signals."""

import os
import signal
import urllib.error
import urllib.request
from types import FrameType

import httpx

from triptych.cli.demo import ensure_demo
from triptych.cli.migrations import MIGRATIONS
from triptych.cli.provision import provision
from triptych.cli.settings import CliSettings
from triptych.gateway.access.keys import Scope, store_key
from triptych.gateway.api.examples import DEV_KEY
from triptych.kit.failures import StartRefused
from triptych.kit.mongo.opening import open_settings_database
from triptych.kit.process.secrets import SUFFIX
from triptych.kit.process.settings import PREFIX
from triptych.kit.upgrading.migrating import Migrator


def require_plain_http(settings: CliSettings) -> None:
    """Raise StartRefused if the settings ask for HTTPS: everything here calls the gateway without."""
    if settings.gateway_tls_certificate_file is not None:
        raise StartRefused(
            f"This command serves plain HTTP on this machine: unset {PREFIX}GATEWAY_TLS_CERTIFICATE_FILE."
        )


def handle_as_sigint(number: int, frame: FrameType | None) -> None:
    """Handle a signal as if it were SIGINT; a handler for SIGTERM."""
    # While an event loop runs, asyncio handles SIGINT: it cancels the main task instead of raising KeyboardInterrupt
    # anywhere in the loop. SIGINT itself may be ignored: a shell ignores it for commands that it runs with `&`.
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        raise KeyboardInterrupt
    handler(number, frame)


async def prepare(settings: CliSettings) -> None:
    """Make servers ready for services that have not started yet: topics, indexes, migrations, the key `dev-key`.

    Raises:
        StartRefused, NotYetAvailable: see `provision`.
    """
    say("provisioning topics and indexes")
    await provision(settings)
    async with open_settings_database(settings) as database:
        # Nothing else uses this installation, so what an earlier checkout has stored can be migrated before the start.
        for name in await Migrator(database, MIGRATIONS).run():
            say(f"migrated {name}")
        await store_key(database, DEV_KEY, site_id=None, scopes=list(Scope), name="local development")


def service_environ(settings: CliSettings) -> dict[str, str]:
    """The environment of services that use the servers of these settings."""
    return {
        # Listeners under development run on this machine too.
        f"{PREFIX}WEBHOOKS_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
        f"{PREFIX}HISTORY_RETENTION": "P7D",
        **environ_of(settings),
        f"{PREFIX}LOCAL": "true",
        f"{PREFIX}KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        f"{PREFIX}MONGO_URI": settings.mongo_uri,
    }


def environ_of(settings: CliSettings) -> dict[str, str]:
    """The environment of this process, with the address of MongoDB itself instead of the file that holds it."""
    environ = dict(os.environ)
    if environ.pop(f"{PREFIX}MONGO_URI{SUFFIX}", None):
        environ[f"{PREFIX}MONGO_URI"] = settings.mongo_uri
    return environ


def is_ready(address: str) -> bool:
    """Whether the service at this address (`http://host:port`) says that it is ready."""
    try:
        with urllib.request.urlopen(f"{address}/health/ready", timeout=2) as response:  # noqa: S310 - our own service on this machine
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def demo_gallery(gateway: str) -> str:
    """Create the demo gallery if there is none; its id. Raises StartRefused if the gateway does not create it."""
    try:
        return ensure_demo(gateway, DEV_KEY)
    except httpx.HTTPError as error:
        raise StartRefused(f"The demo gallery cannot be made through {gateway}: {error}") from None


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)
