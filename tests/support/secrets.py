"""Knows every secret that the tests issue, and finds them in what the product logs, in this process and in others."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from tests.support.log_lines import lines_in, read_line
from triptych.gateway.access import keys
from triptych.kit.logs.lines import line_formatter
from triptych.kit.logs.masking import Masker
from triptych.webhooks.store import sealing
from triptych.webhooks.store.sealing import Sealer

SHORTEST = 7
"""Characters of the shortest secret that is looked for: `dev-key`."""
LOGGERS = ("triptych", "aiokafka", "asyncio", "faststream", "httpx", "pymongo", "uvicorn")
"""Not the root: setting up the log of the command line, which tests do in this process, removes its handlers."""
_PREFIXES = ("whsec_", "whsk_", "tk_")
_ISSUED: set[str] = set()


def issue(*secrets: str) -> None:
    """Remember secrets: API keys, keys of listeners, the key under which those are stored."""
    for secret in secrets:
        for part in secret.split():  # a private key in PEM has lines
            for prefix in _PREFIXES:
                part = part.removeprefix(prefix)
            # A word, such as `unknown`, is what a test sends in place of a key.
            if len(part) >= SHORTEST and not part.startswith("-----") and not part.isalpha():
                _ISSUED.add(part)


def secrets_in(text: str) -> set[str]:
    """The secrets that a text contains."""
    return {secret for secret in _ISSUED if secret in text}


def check_logs(files: Iterable[Path]) -> int:
    """Check what processes have logged: lines of the log only, and no secret. Gives the number of lines.

    Raises:
        AssertionError: names the line.
    """
    count = 0
    for file in files:
        for line in lines_in(file):
            count += 1
            assert not secrets_in(str(line)), f"{file.name}: {line}"
    return count


class _Unmasked(Masker):
    """Leaves secrets in the lines: the product must not rely on masking."""

    def mask(self, text: str) -> str:
        return text

    @staticmethod
    def is_secret(name: str) -> bool:
        return False


class LoggedHere(logging.Handler):
    """The lines that were logged in this process, as they would be written without masking."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(line_formatter("json", _Unmasked(), {"service": "tests", "instance": "tests"}))
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self._lines.append(self.format(record))

    def check(self) -> None:
        """Raises AssertionError if one of the lines is not JSON, or contains a secret that was issued so far."""
        lines, self._lines = self._lines, []
        for line in lines:
            fields = read_line(line)
            assert not secrets_in(str(fields)), line


LOGGED_HERE = LoggedHere()


@contextmanager
def watching_secrets() -> Iterator[None]:
    """Remember the secrets that pass through the product during the block, and check all lines at its end."""
    hash_key, seal = keys.hash_key, Sealer.seal

    def remember_key(key: str) -> str:
        issue(key)
        return hash_key(key)

    def remember_sealed(self: Sealer, secret: bytes) -> bytes:
        if secret != sealing._PROBE:  # which is no secret, but checks the key
            issue(secret.decode())
        return seal(self, secret)

    loggers = [logging.getLogger(name) for name in LOGGERS]
    for logger in loggers:
        logger.addHandler(LOGGED_HERE)
    logging.getLogger("triptych").setLevel(logging.INFO)  # as in a service
    with patch.object(keys, "hash_key", remember_key), patch.object(Sealer, "seal", remember_sealed):
        yield
    for logger in loggers:
        logger.removeHandler(LOGGED_HERE)
    LOGGED_HERE.check()
