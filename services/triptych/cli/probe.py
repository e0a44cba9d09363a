"""`triptych probe`: asks the services of this machine whether they are ready.

A supervisor runs it every few seconds. So `python -m triptych.cli.probe` loads the standard library alone.
"""

import argparse
import http.client
import os
import ssl
import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

PREFIX = "TRIPTYCH_"
PORTS: Mapping[str, int] = {"command": 8081, "projector": 8082, "webhooks": 8083, "gateway": 8080}
"""The default ports of the services. A test compares them with the settings."""
TIMEOUT_SECONDS = 5.0
"""More than `/health/ready` takes: its checks and its details have two seconds each."""
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to find who listens there


class State(Enum):
    """How a service answers."""

    WELL = "well"
    ILL = "ill"
    ABSENT = "absent"
    """Nothing listens on its port."""


class Finding(NamedTuple):
    """What a probe has found: the service, how it answers, and its answer or the problem in words."""

    service: str
    state: State
    text: str


def probe(services: Sequence[str], path: str, environ: Mapping[str, str]) -> list[Finding]:
    """Ask each service for `path`. Without names, all services are asked, and those that do not run are left out.

    A single process runs in a container, whose health check need not name it.
    """
    if services:
        return [ask(service, path, environ) for service in services]
    found = [ask(service, path, environ) for service in PORTS]
    running = [finding for finding in found if finding.state is not State.ABSENT]
    return running or [Finding("triptych", State.ABSENT, "no service listens on this machine")]


def ask(service: str, path: str, environ: Mapping[str, str]) -> Finding:
    """Ask one service, at the address that the settings in `environ` give it."""
    host = environ.get(f"{PREFIX}HOST", "")
    variable = f"{PREFIX}{service.upper()}_PORT"
    port = environ.get(variable) or str(PORTS[service])
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        return Finding(service, State.ABSENT, f"{variable} names no port that can be asked")
    connection = _connection(_LOOPBACK.get(host, host), int(port), is_tls=bool(environ.get(_certificate(service))))
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        response = connection.getresponse()
        text = response.read(65_536).decode(errors="replace")
    except ConnectionRefusedError:
        return Finding(service, State.ABSENT, f"nothing listens on port {port}")
    except (OSError, http.client.HTTPException) as error:
        return Finding(service, State.ILL, f"no answer on port {port}: {error!r}")
    finally:
        connection.close()
    return Finding(service, State.WELL if response.status == http.client.OK else State.ILL, text)


def _certificate(service: str) -> str:
    return f"{PREFIX}{service.upper()}_TLS_CERTIFICATE_FILE"


def _connection(host: str, port: int, *, is_tls: bool) -> http.client.HTTPConnection:
    if not is_tls:
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    # The certificate names the service as its clients know it, not this machine. The probe sends and learns no secret.
    unverified = ssl._create_unverified_context()  # noqa: S323
    return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=unverified)


def report(findings: Sequence[Finding]) -> Iterator[str]:
    """A line for each service."""
    for finding in findings:
        yield f"{finding.service}: {finding.text}"


def run(services: Sequence[str], *, is_live_enough: bool) -> int:
    """Probe, and print what was found. Returns the exit status: 0 if all is well, 1 if not.

    Args:
        services: their names; empty for all that run on this machine.
        is_live_enough: accept a service that answers but is not ready.
    """
    findings = probe(services, "/health/live" if is_live_enough else "/health/ready", os.environ)
    print("\n".join(report(findings)))
    return 0 if all(finding.state is State.WELL for finding in findings) else 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `python -m triptych.cli.probe`."""
    parser = argparse.ArgumentParser(prog="triptych probe", description=__doc__)
    parser.add_argument("services", nargs="*", metavar="SERVICE", help=", ".join(PORTS))
    parser.add_argument("--live", action="store_true", help="accept a service that answers but is not ready")
    given = parser.parse_args(arguments)
    if unknown := [service for service in given.services if service not in PORTS]:
        parser.error(f"there is no service {unknown[0]!r}; choose from {', '.join(PORTS)}")
    return run(given.services, is_live_enough=given.live)


if __name__ == "__main__":
    sys.exit(main())
