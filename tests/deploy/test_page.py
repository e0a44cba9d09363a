"""docs/deploying.md works as printed, from an empty shell in the checkout."""

from pathlib import Path

import pytest

from tests.support.deployment import COMMAND_SECONDS, ROOT, Deployment
from tests.support.pages import blocks, is_as_printed, steps
from tests.support.shell import empty_shell

pytestmark = pytest.mark.timeout(1_200)
PAGE = ROOT / "docs" / "deploying.md"
PUBLISHED = "127.0.0.1:8080"


def test_the_page_works_as_printed(deployed: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.support.shell.SECONDS", COMMAND_SECONDS)
    with empty_shell(ROOT, tmp_path / "notes") as shell:
        for name, value in deployed.environ.items():
            shell.run(f"export {name}={value}")
        for block in blocks(PAGE):
            assert block.language in ("bash", "console"), f"nobody runs {block.language!r}"
            for step in steps(block):
                outcome = shell.run(step.command.replace(PUBLISHED, f"127.0.0.1:{deployed.gateway_port}"))
                assert outcome.status == 0, (step, outcome)
                assert is_as_printed(step.prints or "", outcome.output) or step.prints is None, (step, outcome)
