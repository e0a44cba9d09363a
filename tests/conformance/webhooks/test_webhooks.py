"""The unmodified official client verifies and dispatches the relay's deliveries; it knows only the public key."""

import shlex
import sys
from pathlib import Path

import pytest

from tests.support.conformance import run_script
from tests.support.installation import Installation
from tests.support.product import KEY, running_product
from tests.support.relay import relay_settings
from triptych.webhooks.app import compose

SITE = "0b5e8a7e-5d0c-4f5f-9a43-0d6f6a1c2b3d"


@pytest.mark.timeout(300)
async def test_every_check_passes(installation: Installation, tmp_path: Path) -> None:
    key_file = tmp_path / "key.pem"
    # As a script would, the CLI subscribes to the event types of the client's handlers, and writes the key.
    create = [sys.executable, "-m", "triptych.cli", "listeners", "create", "$CALLBACK_URL"]
    options = ["--format", "wix-jwt", "--retry-delays", "1", "--public-key", str(key_file), "--site", SITE]
    command = (
        " ".join(word if word.startswith("$") else shlex.quote(word) for word in [*create, *options])
        + " $(for t in $(echo $EVENT_TYPES | tr , ' '); do echo --event $t; done)"
    )
    async with running_product(installation) as gateway, compose(relay_settings(installation)):
        outcome = await run_script(
            "webhooks.mjs",
            tmp_path,
            gateway.address,
            KEY,
            environ={
                **installation.environ(),
                "PUBLIC_KEY_FILE": str(key_file),
                "SUBSCRIBE_CMD": command,
                "RETRY": "1",
                "SITE_ID": SITE,
            },
        )
    assert (outcome.verdict, outcome.status) == ("25 passed, 0 failed", 0), outcome.output
