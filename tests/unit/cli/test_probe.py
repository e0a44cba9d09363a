"""A probe says which services answer, which are ready, and what is wrong with the others."""

import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.self_signed import self_signed
from triptych.cli import probe as module
from triptych.cli.probe import PORTS, State, main, probe
from triptych.cli.settings import CliSettings
from triptych.cli.up import SERVICES
from triptych.devstack.ports import free_ports

WELL, ILL = '{"status":"ready"}', '{"status":"not ready","problems":{"kafka":"no answer"}}'


@contextmanager
def service(answers: dict[str, int], certificate: Path | None = None) -> Iterator[int]:
    """A server that answers these paths with these statuses, on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = answers[self.path]
            self.send_response(status)
            self.end_headers()
            self.wfile.write((WELL if status == 200 else ILL).encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment in which no service runs."""
    environ = {f"TRIPTYCH_{name.upper()}_PORT": str(port) for name, port in zip(PORTS, free_ports(4), strict=True)}
    for name, value in {**environ, "TRIPTYCH_HOST": "0.0.0.0"}.items():  # noqa: S104 - as in the image
        monkeypatch.setenv(name, value)
    return environ


def test_the_services_and_their_default_ports_are_those_of_the_settings() -> None:
    assert set(PORTS) == set(SERVICES)
    for name, port in PORTS.items():
        assert CliSettings.model_fields[f"{name}_port"].default == port
    assert f"{module.PREFIX}HOST" == "TRIPTYCH_HOST"
    assert "host" in CliSettings.model_fields


def test_the_only_service_of_a_container_is_found_without_its_name(
    nowhere: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with service({"/health/ready": 200}) as port:
        monkeypatch.setenv("TRIPTYCH_PROJECTOR_PORT", str(port))
        assert main([]) == 0
    assert capsys.readouterr().out == f"projector: {WELL}\n"


def test_a_service_that_is_not_ready_fails_the_probe_with_its_problems(
    nowhere: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with service({"/health/ready": 503, "/health/live": 200}) as port:
        monkeypatch.setenv("TRIPTYCH_GATEWAY_PORT", str(port))
        assert main(["gateway"]) == 1
        assert main(["gateway", "--live"]) == 0
    assert capsys.readouterr().out == f"gateway: {ILL}\ngateway: {WELL}\n"


def test_a_service_that_does_not_run_fails_only_if_it_is_named(
    nowhere: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with service({"/health/ready": 200}) as port:
        monkeypatch.setenv("TRIPTYCH_COMMAND_PORT", str(port))
        assert main([]) == 0
        assert main(["command", "webhooks"]) == 1


def test_nothing_that_runs_is_a_failure(nowhere: dict[str, str]) -> None:
    (finding,) = probe([], "/health/ready", nowhere)
    assert (finding.state, finding.text) == (State.ABSENT, "no service listens on this machine")


def test_a_service_that_hangs_is_ill(nowhere: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:  # it accepts connections and never answers
        environ = {**nowhere, "TRIPTYCH_COMMAND_PORT": str(server.getsockname()[1])}
        (finding,) = probe([], "/health/ready", environ)
    assert (finding.service, finding.state) == ("command", State.ILL)
    assert "no answer on port" in finding.text


def test_a_service_with_a_certificate_is_asked_over_tls(nowhere: dict[str, str], tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    with service({"/health/ready": 200}, certificate) as port:
        environ = {**nowhere, "TRIPTYCH_GATEWAY_PORT": str(port)}
        (plain,) = probe(["gateway"], "/health/ready", environ)
        environ["TRIPTYCH_GATEWAY_TLS_CERTIFICATE_FILE"] = str(certificate)
        (encrypted,) = probe(["gateway"], "/health/ready", environ)
    assert (plain.state, encrypted.state) == (State.ILL, State.WELL)


@pytest.mark.parametrize("port", ["0", "x", "65536"])
def test_a_port_that_cannot_be_asked_is_named(port: str) -> None:
    (finding,) = probe(["gateway"], "/health/ready", {"TRIPTYCH_GATEWAY_PORT": port})
    assert (finding.state, finding.text) == (State.ABSENT, "TRIPTYCH_GATEWAY_PORT names no port that can be asked")


def test_an_unknown_service_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["gatway"])
    assert "there is no service 'gatway'" in capsys.readouterr().err


def test_a_probe_loads_the_standard_library_alone() -> None:
    look = "import sys; before = set(sys.modules); import triptych.cli.probe; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()} - {"triptych"}
    assert loaded <= sys.stdlib_module_names
    ours = {name for name in done.stdout.split() if name.startswith("triptych")}
    assert ours <= {"triptych", "triptych.cli", "triptych.cli.probe"}
