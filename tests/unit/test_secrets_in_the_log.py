"""The watch of secrets sees them: without it, the check at the end of a run could not fail."""

import logging
from pathlib import Path

import orjson
import pytest
from cryptography.fernet import Fernet

from tests.support.secrets import LoggedHere, check_logs, issue, secrets_in
from triptych.gateway.access import keys
from triptych.webhooks.store.sealing import Sealer

LINE = {"timestamp": "2026-01-01T00:00:00.000Z", "level": "info", "logger": "x", "service": "x", "instance": "x"}


def test_keys_and_sealed_secrets_are_remembered_as_soon_as_the_product_handles_them() -> None:
    key = keys.new_key()
    keys.hash_key(key)
    Sealer([Fernet.generate_key().decode()]).seal(b"whsec_c2VjcmV0LW9mLWEtbGlzdGVuZXI=")
    assert secrets_in(f"<{key}>") == {key.removeprefix("tk_")}
    assert secrets_in("c2VjcmV0LW9mLWEtbGlzdGVuZXI=")
    assert not secrets_in(keys.hash_key(key))


@pytest.mark.parametrize("fields", [{"event": "{}"}, {"event": "x", "deep": [{"a": "<{}>"}]}])
def test_a_secret_in_a_line_is_found(tmp_path: Path, fields: dict[str, object]) -> None:
    key = keys.new_key()
    issue(key)
    file = tmp_path / "log"
    clean = orjson.dumps({**LINE, "event": "x"}) + b"\n"
    file.write_bytes(clean * 2)
    assert check_logs([file, file]) == 4
    file.write_bytes(clean + orjson.dumps({**LINE, **fields}).replace(b"{}", key.encode()) + b"\n")
    with pytest.raises(AssertionError, match=r"^log: "):
        check_logs([file])
    file.write_bytes(clean + b"Traceback (most recent call last):\n")
    with pytest.raises(AssertionError, match="not a line of the log"):
        check_logs([file])


def test_a_secret_that_is_logged_in_this_process_is_found() -> None:
    key, here = keys.new_key(), LoggedHere()
    issue(key)
    here.handle(logging.LogRecord("x", logging.INFO, "", 0, "all is well", (), None))
    here.check()
    here.handle(logging.LogRecord("x", logging.INFO, "", 0, "Authorization: %s", (key,), None))
    with pytest.raises(AssertionError, match=key):
        here.check()
    here.check()
