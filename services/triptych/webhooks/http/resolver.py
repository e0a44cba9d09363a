"""Looks up names without threads, so that an unanswered name does not delay look-ups of other names.

c-ares queries the servers of /etc/resolv.conf, with its search domains, and reads /etc/hosts. Concurrent callers share
one look-up of a name. A listener has one URL, so it has at most one look-up in flight.
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
"""How long found addresses are used without another look-up."""
NOT_FOUND_SECONDS = 5.0
"""How long a failed look-up is remembered."""
STALE_SECONDS = 3_600.0
"""How long found addresses may be used while the servers do not answer (RFC 8767). A name that was found once does not
wait for unanswered look-ups of other names."""
STALE_AFTER_SECONDS = 0.5
"""How long a look-up may take before earlier addresses are used instead."""
NAMES_KEPT = 10_000
WAITING_MAX = 5_000
"""Look-ups that may run or wait in total. A further look-up fails at once."""
AT_ONCE = 100
"""Look-ups that may run at the same time. More of them overflow the socket of a name server on the same machine
(measured: at 250 questions; each look-up sends two)."""
UNANSWERED_AT_ONCE = 20
"""How many of these look-ups may be for names whose last look-up got no answer."""
_TRY_SECONDS = 1.5
_TRIES = 2
_DEFINITE = frozenset({pycares.errno.ARES_ENOTFOUND, pycares.errno.ARES_ENODATA})


class NameNotResolved(OSError):
    """A name has no address, or no server answered in time. The message says which."""


@dataclass(frozen=True, slots=True)
class _CacheEntry:
    until: float
    addresses: tuple[str, ...]
    problem: str = ""
    found_at: float = 0.0
    is_unanswered: bool = False


class Resolver:
    """Looks up and caches the addresses of receivers. It is an async context manager."""

    def __init__(
        self,
        servers: Sequence[str] = (),
        deadline_seconds: float = DEADLINE_SECONDS,
        at_once: int = AT_ONCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Query `servers` (`address:port`), or the servers of the system if there are none."""
        self._servers = list(servers)
        self._deadline = deadline_seconds
        self._slots = asyncio.Semaphore(at_once)
        self._unanswered = asyncio.Semaphore(max(1, at_once * UNANSWERED_AT_ONCE // AT_ONCE))
        self._clock = clock
        self._cache: OrderedDict[str, _CacheEntry] = OrderedDict()
        self._running: dict[str, asyncio.Task[_CacheEntry]] = {}
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
        """The IP addresses of a name, at least one, in the order of the servers.

        Args:
            host: the name.
            seconds: how long the caller can wait. The look-up continues for later callers.

        Raises:
            NameNotResolved: the name has no address, or no answer arrived in time.
        """
        entry = self._cache.get(host)
        if entry is not None and entry.until > self._clock():
            return _addresses_of(entry)
        task = self._running.get(host) or self._start(host)
        is_stale = entry is not None and self._may_be_used(entry)
        try:
            async with asyncio.timeout(min(seconds, STALE_AFTER_SECONDS) if is_stale else seconds):
                entry = await asyncio.shield(task)
        except TimeoutError:
            if entry is None or not is_stale:
                raise NameNotResolved(f"no answer about the name {host} within {seconds:g} s") from None
        return _addresses_of(entry)

    def _may_be_used(self, entry: _CacheEntry) -> bool:
        return bool(entry.addresses) and self._clock() - entry.found_at < STALE_SECONDS

    def _start(self, host: str) -> asyncio.Task[_CacheEntry]:
        if len(self._running) >= WAITING_MAX:
            raise NameNotResolved(f"the name {host} was not looked up: {WAITING_MAX} others are being looked up")
        task = asyncio.create_task(self._look_up(host))
        self._running[host] = task
        return task

    async def _look_up(self, host: str) -> _CacheEntry:
        earlier = self._cache.get(host)
        try:
            async with contextlib.AsyncExitStack() as slots:
                if earlier is not None and earlier.is_unanswered:
                    await slots.enter_async_context(self._unanswered)
                await slots.enter_async_context(self._slots)
                entry = await self._query(host)
        finally:
            self._running.pop(host, None)
        if entry.is_unanswered and earlier is not None and self._may_be_used(earlier):
            entry = replace(entry, addresses=earlier.addresses, found_at=earlier.found_at)
        self._cache[host] = entry
        self._cache.move_to_end(host)
        if len(self._cache) > NAMES_KEPT:
            self._cache.popitem(last=False)
        return entry

    async def _query(self, host: str) -> _CacheEntry:
        is_unanswered = True
        try:
            async with asyncio.timeout(self._deadline):
                addresses = await self._getaddrinfo(host)
            now = self._clock()
            if addresses:
                return _CacheEntry(now + FOUND_SECONDS, addresses, found_at=now)
            problem, is_unanswered = f"the name {host} has no address", False
        except TimeoutError:
            problem = f"no answer about the name {host} within {self._deadline:g} s"
        except Exception as error:  # noqa: BLE001 - errors of c-ares, and names that it cannot encode
            problem = f"the name {host} cannot be resolved: {error.args[-1] if error.args else type(error).__name__}"
            is_unanswered = not (error.args and error.args[0] in _DEFINITE)
        return _CacheEntry(self._clock() + NOT_FOUND_SECONDS, (), problem, is_unanswered=is_unanswered)

    async def _getaddrinfo(self, host: str) -> tuple[str, ...]:
        if self._resolver is None:
            self._resolver = aiodns.DNSResolver(
                nameservers=self._servers or None, timeout=_TRY_SECONDS, tries=_TRIES, loop=asyncio.get_running_loop()
            )
        found = await self._resolver.getaddrinfo(host, family=socket.AF_UNSPEC, type=socket.SOCK_STREAM)
        return tuple(dict.fromkeys(_text_of(node.addr) for node in found.nodes))


def _addresses_of(entry: _CacheEntry) -> tuple[str, ...]:
    if not entry.addresses:
        raise NameNotResolved(entry.problem)
    return entry.addresses


def _text_of(address: Sequence[object]) -> str:
    host = address[0]
    text = host.decode("ascii") if isinstance(host, bytes) else str(host)
    with contextlib.suppress(IndexError):
        if scope := address[3]:
            return f"{text}%{scope}"
    return text
