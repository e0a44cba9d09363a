"""Reads the descriptions of settings: the docstrings below the fields, which only the reference page needs.

Pydantic would read them at each start of a process (`use_attribute_docstrings`), which takes a tenth of the start.
"""

import ast
import inspect
import textwrap
from functools import cache
from itertools import pairwise

from pydantic_settings import BaseSettings


def descriptions(kind: type[BaseSettings]) -> dict[str, str]:
    """The docstring of each field of a class of settings, by the name of the field; a class replaces its bases'."""
    found: dict[str, str] = {}
    for ancestor in reversed(kind.__mro__):
        if issubclass(ancestor, BaseSettings) and ancestor is not BaseSettings:
            found |= _own(ancestor)
    return {name: found[name] for name in kind.model_fields if name in found}


@cache
def _own(kind: type[BaseSettings]) -> dict[str, str]:
    parsed = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    lines = next(node.body for node in parsed.body if isinstance(node, ast.ClassDef))
    found: dict[str, str] = {}
    for field, text in pairwise(lines):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(docstring))):
                found[name] = inspect.cleandoc(docstring)
    return found
