"""The baselines are independent of what they are compared with, and short enough to be judged by reading."""

import ast
from pathlib import Path

import pytest

import benchmarks.baselines

FILES = sorted(Path(benchmarks.baselines.__path__[0]).glob("*.py"))
LINES_MAX = 250


def test_there_are_baselines() -> None:
    assert len(FILES) > 10


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_baselines_import_neither_the_product_nor_the_measurement(path: Path) -> None:
    seen: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            seen.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            seen.add(node.module or "")
    ours = {name for name in seen if name.split(".")[0] in ("triptych", "benchmarks", "tests")}
    assert not {name for name in ours if not name.startswith("benchmarks.baselines.")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_baselines_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) < LINES_MAX
