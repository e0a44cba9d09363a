"""Every command of the pages of examples/ runs as printed, and prints what they say."""

from pathlib import Path

import pytest

from tests.support.checkout import Place
from tests.support.examples import EXAMPLES, FOLDER, Example, own_environ
from tests.support.pages import blocks
from tests.support.shell import empty_shell
from tests.support.typing_pages import run_block

FIRST_BUILD_SECONDS = 280.0
"""The first build on a machine downloads and compiles what all later ones find in caches."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_a_page_works_as_printed(example: Example, place: Place, tmp_path: Path) -> None:
    example.require()
    example.copy_to(place)
    with empty_shell(place.folder, tmp_path / "notes", own_environ(place), FIRST_BUILD_SECONDS) as shell:
        for block in blocks(example.page):
            assert block.language == "console", f"{block.page}:{block.line}: nobody runs {block.language!r}"
            run_block(block, shell, place)


def test_every_example_is_known() -> None:
    assert {path.parent.name for path in FOLDER.glob("*/README.md")} == {example.name for example in EXAMPLES}
