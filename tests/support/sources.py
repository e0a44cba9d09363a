"""Parses modules once for all tests that look at their text; these tests run on one worker."""

import ast
from functools import cache
from pathlib import Path

import pytest

READS_SOURCES = pytest.mark.xdist_group("sources")


@cache
def parsed(module: Path) -> ast.Module:
    """The syntax tree of a module. It is shared: do not change it."""
    return ast.parse(module.read_text())
