"""`make test` runs every folder of tests, except those that have a target of their own."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APART = {"console", "deploy", "helm", "site", "tools", "examples"}


def test_no_folder_is_forgotten() -> None:
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["testpaths"]
    folders = {path.parent.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").glob("*/**/test_*.py")}
    assert {path.removeprefix("tests/") for path in configured} == folders - APART
    assert folders >= APART
