"""Looks up names without threads, so that names that nobody answers for delay nobody else.

c-ares asks the servers of /etc/resolv.conf, with its search domains, and reads /etc/hosts. A name is looked up once at
a time, whoever waits for it: a listener, which has one address, has at most one look-up under way.
"""

import asyncio
import contextlib
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import aiodns
import pycares

DEADLINE_SECONDS = 5.0
FOUND_SECONDS = 10.0
"""How long addresses are used; until then the servers' own answer is not asked for again."""
NOT_FOUND_SECONDS = 5.0
STALE_SECONDS = 3_600.0
"""How long addresses are used if the servers do not answer (RFC 8767): who was found once waits for nobody's names."""
PATIENCE_SECONDS = 0.5
"""How long the servers have before addresses of earlier are used."""
NAMES_KEPT = 10_000
WAITING_MAX = 5_000
"""Look-ups that run or wait in all; a further one fails at once."""
AT_ONCE = 100
"""Look-ups that run in all. More of them overflow the socket of a name server on the same machine (measured: at 250
questions, of which each look-up asks two)."""
SUSPECTS_AT_ONCE = 20
"""Of these, look-ups of names that nobody has told the last time."""
_TRY_SECONDS = 1.5
_TRIES = 2
_TOLD = frozenset({pycares.errno.ARES_ENOTFOUND, pycares.errno.ARES_ENODATA})


class NameNotResolved(OSError):
    """A name has no address, or nobody has told it in time; the message says which."""


@dataclass(frozen=True, slots=True)
class _Known:
    until: float
    addresses: tuple[str, ...]
    problem: str = ""
    found_at: float = 0.0
    is_suspect: bool = False


class Resolver:
    """The names of receivers and their addresses; use it as a context, where the event loop runs."""

    def __init__(
        self,
        servers: Sequence[str] = (),
        deadline_seconds: float = DEADLINE_SECONDS,
        at_once: int = AT_ONCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask `servers` (`address:port`), or those of the system."""
        self._servers = list(servers)
        self._deadline = deadline_seconds
        self._turns = asyncio.Semaphore(at_once)
        self._suspects = asyncio.Semaphore(max(1, at_once * SUSPECTS_AT_ONCE // AT_ONCE))
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._running: dict[str, asyncio.Task[_Known]] = {}
        self._resolver: aiodns.DNSResolver | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._resolver is not None:
            await self._resolver.close()

    async def addresses(self, host: str, seconds: float) -> tuple[str, ...]:
        """The IP addresses of a name, as the servers order them; at least one.

        Args:
            host: the name.
            seconds: how long the caller can wait; the look-up goes on for those who come later.

        Raises:
            NameNotResolved: there is none, or no answer in time.
        """
        known = self._known.get(host)
        if known is not None and known.until > self._clock():
            return _told(known)
        task = self._running.get(host) or self._start(host)
        is_stale = known is not None and self._may_be_used(known)
        try:
            async with asyncio.timeout(min(seconds, PATIENCE_SECONDS) if is_stale else seconds):
                known = await asyncio.shield(task)
        except TimeoutError:
            if known is None or not is_stale:
                raise NameNotResolved(f"no answer about the name {host} within {seconds:g} s") from None
        return _told(known)

    def _may_be_used(self, known: _Known) -> bool:
        return bool(known.addresses) and self._clock() - known.found_at < STALE_SECONDS

    def _start(self, host: str) -> asyncio.Task[_Known]:
        if len(self._running) >= WAITING_MAX:
            raise NameNotResolved(f"the name {host} was not looked up: {WAITING_MAX} others are being looked up")
        task = asyncio.create_task(self._look_up(host))
        self._running[host] = task
        return task

    async def _look_up(self, host: str) -> _Known:
        earlier = self._known.get(host)
        try:
            async with contextlib.AsyncExitStack() as turns:
                if earlier is not None and earlier.is_suspect:
                    await turns.enter_async_context(self._suspects)
                await turns.enter_async_context(self._turns)
                known = await self._found(host)
        finally:
            self._running.pop(host, None)
        if known.is_suspect and earlier is not None and self._may_be_used(earlier):
            known = replace(known, addresses=earlier.addresses, found_at=earlier.found_at)
        self._known[host] = known
        self._known.move_to_end(host)
        if len(self._known) > NAMES_KEPT:
            self._known.popitem(last=False)
        return known

    async def _found(self, host: str) -> _Known:
        is_suspect = True
        try:
            async with asyncio.timeout(self._deadline):
                addresses = await self._ask(host)
            now = self._clock()
            if addresses:
                return _Known(now + FOUND_SECONDS, addresses, found_at=now)
            problem, is_suspect = f"the name {host} has no address", False
        except TimeoutError:
            problem = f"no answer about the name {host} within {self._deadline:g} s"
        except Exception as error:  # noqa: BLE001 - c-ares' own errors, names that it cannot encode: none is a fault of ours
            problem = f"the name {host} cannot be resolved: {error.args[-1] if error.args else type(error).__name__}"
            is_suspect = not (error.args and error.args[0] in _TOLD)
        return _Known(self._clock() + NOT_FOUND_SECONDS, (), problem, is_suspect=is_suspect)

    async def _ask(self, host: str) -> tuple[str, ...]:
        if self._resolver is None:
            self._resolver = aiodns.DNSResolver(
                nameservers=self._servers or None, timeout=_TRY_SECONDS, tries=_TRIES, loop=asyncio.get_running_loop()
            )
        found = await self._resolver.getaddrinfo(host, family=socket.AF_UNSPEC, type=socket.SOCK_STREAM)
        return tuple(dict.fromkeys(_text_of(node.addr) for node in found.nodes))


def _told(known: _Known) -> tuple[str, ...]:
    if not known.addresses:
        raise NameNotResolved(known.problem)
    return known.addresses


def _text_of(address: Sequence[object]) -> str:
    host = address[0]
    text = host.decode("ascii") if isinstance(host, bytes) else str(host)
    with contextlib.suppress(IndexError):
        if scope := address[3]:
            return f"{text}%{scope}"
    return text
