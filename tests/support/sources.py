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


@cache
def nodes(module: Path) -> tuple[ast.AST, ...]:
    """All nodes of that tree, as `ast.walk` finds them: to find them takes longer than to look at them."""
    return tuple(ast.walk(parsed(module)))
