"""The examples: a folder for each language, with the tools that it needs and a page."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.checkout import Place
from tests.support.pages import ROOT

FOLDER = ROOT / "examples"
BUILT = ("node_modules", "target", "bin", "__pycache__")
"""What the commands of the pages make. It is in `.gitignore`."""


@dataclass(frozen=True)
class Example:
    """The example in one language. `tools` are the programs that its page needs."""

    name: str
    tools: tuple[str, ...]

    @property
    def page(self) -> Path:
        """What a reader begins with."""
        return FOLDER / self.name / "README.md"

    def require(self) -> None:
        """Skip the test if a tool is not there."""
        missing = [tool for tool in self.tools if shutil.which(tool) is None]
        if missing:
            pytest.skip(f"there is no {' and no '.join(missing)} here")

    def copy_to(self, place: Place) -> Path:
        """The folder of the example in the checkout, without what was built in the repository."""
        folder = place.folder / "examples" / self.name
        if not folder.exists():
            shutil.copytree(FOLDER / self.name, folder, ignore=shutil.ignore_patterns(*BUILT))
        return folder


def own_environ(place: Place) -> Mapping[str, str]:
    """The environment of somebody who uses these tools every day, with the names of this installation.

    It says where packages come from, and where they are cached.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith(("TRIPTYCH_", "PYTEST_"))}
    return {**own, **place.environ}


EXAMPLES = (
    Example("kcat", ("kcat", "jq")),
    Example("javascript", ("node", "npm")),
    Example("go", ("go",)),
    Example("java", ("java", "mvn")),
    Example("python", ()),
)
