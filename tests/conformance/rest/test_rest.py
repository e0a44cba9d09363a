"""The unmodified official client calls all twelve methods of the product, on real servers."""

import uuid
from pathlib import Path

import pytest

from tests.support.conformance import run_script
from tests.support.installation import Installation
from tests.support.product import KEY, running_product


@pytest.mark.timeout(300)
async def test_every_check_passes(installation: Installation, tmp_path: Path) -> None:
    async with running_product(installation) as gateway:
        outcome = await run_script(
            "run.mjs", tmp_path, gateway.address, KEY, environ={"OTHER_SITE_ID": str(uuid.uuid4())}
        )
    assert (outcome.verdict, outcome.status) == ("88 passed, 0 failed", 0), outcome.output
