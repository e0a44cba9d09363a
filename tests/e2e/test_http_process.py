"""The gateway as a process of its own: its keys from the command line, and an orderly end while somebody listens."""

import os
from pathlib import Path

import httpx
from typer.testing import CliRunner, Result

from tests.support.forks import start_fork
from tests.support.installation import Installation
from tests.support.plain_http import NO_TLS
from tests.support.secrets import check_logs, issue
from triptych.cli.__main__ import app
from triptych.devstack.ports import free_ports

GALLERIES = "/progallery/v2/galleries"


def triptych(installation: Installation, *arguments: str) -> Result:
    """Run the command line, in this process: a process of its own needs two seconds for its imports."""
    return CliRunner().invoke(app, arguments, env=installation.environ())


def test_keys_from_the_command_line(installation: Installation, tmp_path: Path) -> None:
    created = triptych(installation, "keys", "create", "shop window", "--site", "shop", "--scope", "read")
    key = created.stdout.strip()
    issue(key)
    assert key.startswith("tk_")
    listed = triptych(installation, "keys", "list").stdout
    assert key not in listed
    key_id, site, scopes, _, state, *name = listed.split()
    assert (site, scopes, state, name) == ("shop", "read", "active", ["shop", "window"])
    (port,) = free_ports(1)
    base = f"http://127.0.0.1:{port}"
    environ = {**os.environ, **installation.environ(gateway_port=port, gateway_key_cache=0)}
    child = start_fork("triptych.gateway", env=environ, log=tmp_path / "gateway.log")
    try:
        child.wait_until(lambda: _is_ready(base), what="the gateway", timeout=60)
        with httpx.Client(base_url=base, headers={"Authorization": key}, timeout=20, verify=NO_TLS) as client:
            assert client.get(GALLERIES).json() == {"totalGalleries": 0, "galleries": []}
            assert client.post(GALLERIES).status_code == 403
            assert client.get(GALLERIES, headers={"wix-site-id": "other"}).status_code == 403
            # Somebody listens when it stops: the stream ends, and the process with it.
            with client.stream("GET", "/progallery/v2/events") as stream:
                lines = stream.iter_lines()
                assert next(lines).startswith("retry:")
                revoked = triptych(installation, "keys", "revoke", key_id)
                assert revoked.exit_code == 0, revoked.stderr
                assert client.get(GALLERIES).status_code == 401
                assert child.stop(10) == 0
                assert [line for line in lines if line.startswith("data:")] == []
    finally:
        child.stop(0)
    assert check_logs([child.log])
    assert "revoked" in triptych(installation, "keys", "list").stdout
    unknown = triptych(installation, "keys", "revoke", "ffff")
    assert (unknown.exit_code, "triptych keys list" in unknown.stderr) == (78, True)


def _is_ready(base: str) -> bool:
    try:
        return httpx.get(f"{base}/health/ready", verify=NO_TLS).status_code == 200
    except httpx.HTTPError:
        return False
