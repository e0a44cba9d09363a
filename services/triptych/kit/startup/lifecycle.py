"""Runs one service process: settings, composition, HTTP, and an orderly stop on SIGTERM or SIGINT."""

import asyncio
import gc
import os
import signal
import ssl
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from typing import Any, TypeVar

from starlette.types import ASGIApp

from triptych.kit.failures import StartRefused
from triptych.kit.logs.loggers import get_logger
from triptych.kit.logs.setup import configure_logging, log_refusal, log_uncaught_errors
from triptych.kit.process.build_info import show_build_info
from triptych.kit.process.http_bounds import Refusal, plain_refusal
from triptych.kit.process.http_server import Server, make_server
from triptych.kit.process.loop_delay import measuring_loop_delay
from triptych.kit.process.settings import KitSettings, load_settings
from triptych.kit.process.stopping import HTTP, StopDeadline, set_stop_deadline
from triptych.kit.process.supervision import SUPERVISOR
from triptych.kit.startup.starting import StartupApp, composed
from triptych.kit.tracing.setup import start_tracing, stop_tracing

log = get_logger(__name__)

T = TypeVar("T")
SettingsT = TypeVar("SettingsT", bound=KitSettings)
Compose = Callable[[SettingsT], AbstractAsyncContextManager[ASGIApp]]
_stopping: ContextVar[asyncio.Event | None] = ContextVar("stopping", default=None)


def stop_requested() -> asyncio.Event:
    """The event that is set when this process begins to stop. Responses without an end of their own must end then."""
    return _stopping.get() or asyncio.Event()


def run_service(
    name: str,
    kind: type[SettingsT],
    compose: Compose[SettingsT],
    port_of: Callable[[SettingsT], int],
    refusal: Refusal = plain_refusal,
    tls_of: Callable[[SettingsT], ssl.SSLContext | None] = lambda _: None,
) -> int:
    """Run until a signal stops the process. Returns the exit status: 0, 70 (EX_SOFTWARE) when a loop
    ended that only a new process can replace, or 78 (EX_CONFIG) if it refused to start. A process that cannot stop
    within its deadline ends by itself with 75 (EX_TEMPFAIL).

    The service listens when it is complete. While Kafka or MongoDB is away, it waits: it is live, not ready, and
    reports what it waits for.

    Args:
        name: of the service, for the log.
        kind: class of the settings to read.
        compose: opens everything that the service needs, yields its ASGI application, and closes all in reverse order.
        port_of: chooses the port to listen on.
        refusal: makes the responses that the server itself sends.
        tls_of: makes the context of an HTTPS server; with None, the server speaks plain HTTP.
    """
    deadline = StopDeadline()
    _tune_garbage_collector()
    configure_logging(name)  # until the settings are known, which may be wrong
    log_uncaught_errors()
    try:
        settings = load_settings(kind)
        configure_logging(name, settings.log_level, settings.log_format, settings.secret_values())
        show_build_info(settings.build_commit)
        start_tracing(name)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            serving = _serve(name, settings, compose, port_of(settings), refusal, tls_of(settings), deadline)
            has_failed = runner.run(serving)
    except StartRefused as refused:
        log_refusal(name, str(refused))
        return os.EX_CONFIG
    finally:
        deadline.ended()
    return os.EX_SOFTWARE if has_failed else os.EX_OK


def run_work(work: Coroutine[Any, Any, T]) -> T:
    """Run long work that is not a service, on the same kind of event loop as the services. Returns its result."""
    _tune_garbage_collector()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(work)


async def _serve(
    name: str,
    settings: SettingsT,
    compose: Compose[SettingsT],
    port: int,
    refusal: Refusal,
    tls: ssl.SSLContext | None,
    deadline: StopDeadline,
) -> bool:
    """Run until told to stop. True if it stopped because of a loop that only a new process can replace."""
    stopping = asyncio.Event()
    _stopping.set(stopping)
    set_stop_deadline(deadline)
    has_failed = False

    def stop() -> None:
        deadline.begin()
        stopping.set()

    def fail() -> None:
        nonlocal has_failed
        has_failed = True
        stop()

    SUPERVISOR.on_exit = fail
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    startup_app = StartupApp(name, refusal)
    server = make_server(
        startup_app,
        settings.http_bounds(),
        host=settings.host,
        port=port,
        graceful_seconds=int(HTTP),
        refusal=refusal,
        tls=tls,
        opening=startup_app.until_it_says_something,
    )
    is_composed, http_ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        async with measuring_loop_delay(), composed(lambda: compose(settings), startup_app):
            _exclude_from_collections()
            scheme = "http" if tls is None else "https"
            log.info("the service listens", scheme=scheme, host=settings.host, port=port)
            is_composed.set()
            await http_ended.wait()

    serving = asyncio.create_task(_listen(server, settings.host, port))
    working = asyncio.create_task(work())
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait({serving, working, waiting}, return_when=asyncio.FIRST_COMPLETED)
    log.info("the service stops")
    stop()
    deadline.force()
    server.should_exit = True
    startup_app.end_silence()
    waiting.cancel()
    await asyncio.wait({serving})
    http_ended.set()
    if not working.done() and not is_composed.is_set():
        working.cancel()  # it still waits for its servers, which may never come
    await deadline.finish(working)
    await stop_tracing()
    if not working.cancelled():
        working.result()
    await serving
    return has_failed


def _tune_garbage_collector() -> None:
    """Make cyclic garbage collection rare, and exclude from it what the imports have made.

    A batch makes some hundred thousand objects that live as long as the batch. Scanning them repeatedly took a fifth of
    the processor time at Python's own thresholds, and 12 % at 200,000: 1.6 of 14 s for 40,000 commands (measured). At
    this threshold no collection happens within a batch, and peak memory is the same.
    """
    gc.freeze()  # with the garbage of the imports: 1,400 small objects, which it takes 0.05 s to find (measured)
    gc.set_threshold(500_000, 20, 20)
    gc.enable()


def _exclude_from_collections() -> None:
    """Exclude the objects of the composed service, which live as long as the process."""
    gc.collect()
    gc.freeze()


async def _listen(server: Server, host: str, port: int) -> None:
    try:
        await server.serve()
    except SystemExit:  # uvicorn raises it if it cannot bind
        raise StartRefused(
            f"Port {port} on {host} is in use; choose another with the service's PORT setting."
        ) from None


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
