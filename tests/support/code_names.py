"""Finds the modules and files of the repository that a page names."""

import ast
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import yaml

from triptych.contract.commands import COMMAND_TYPE_PREFIX
from triptych.contract.replies import REPLY_TYPE
from triptych.contract.snapshots import SNAPSHOT_TYPE_PREFIX
from triptych.contract.topics import Topics

SOURCES = ("services", "schemas", "deploy")
ROOTS = (*SOURCES, "tests", "benchmarks", "docs", ".ci", ".github")
_FILE = re.compile(r"[\w.{},-]+(?:/[\w.{},-]+)+\.(?:py|md|json|mjs|ya?ml|toml|txt)")
_ATTRIBUTE = re.compile(r'"(triptych\.[a-z_]+\.[a-z_]+)"')
_DOTTED = re.compile(r"[a-z_]\w*(?:\.\w+)+")
MADE = ("results/latest.json", "services/triptych/gateway/pages/console")
"""Files that pages name and that a command writes."""
_SKIPPED = ("node_modules", "__pycache__")
_NOT_CODE = (COMMAND_TYPE_PREFIX, SNAPSHOT_TYPE_PREFIX, REPLY_TYPE)


def is_missing(code: str, root: Path) -> bool:
    """Whether a text in code format names a module or a file that the repository does not have."""
    if code in MADE:
        return False
    if _FILE.fullmatch(code) or (code.split("/")[0] in ROOTS and re.fullmatch(r"[\w./-]+", code) and "/" in code):
        return not _is_file(code.removesuffix("/"), root)
    if not _DOTTED.fullmatch(code) or code.startswith(_NOT_CODE) or code in _attributes(root) | _values(root):
        return False
    names = code.removeprefix("triptych.").split(".")
    is_ours = code.startswith("triptych.") and code not in _topics()
    return (is_ours or names[0] in _packages(root)) and not _is_code(names, root)


def files_below(folder: Path) -> list[Path]:
    """Every file of a folder, without installed packages and caches."""
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _SKIPPED]
        found += [Path(parent, name) for name in names]
    return found


def _is_code(names: list[str], root: Path) -> bool:
    """Whether these names are a module or package of the repository, perhaps followed by a name that it defines."""
    for source in SOURCES:
        path = root / source / "triptych"
        for depth, name in enumerate(names):
            path /= name
            if path.with_suffix(".py").is_file():
                attributes = names[depth + 1 :]
                return not attributes or (attributes[0] in _defined(path.with_suffix(".py")) and len(attributes) <= 2)
            if not path.is_dir():
                if path.parent.joinpath("__init__.py").is_file() and depth == len(names) - 1:
                    return name in _defined(path.parent / "__init__.py")
                break
        else:
            return True
    return False


@cache
def _defined(module: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names.update(alias.asname or alias.name for alias in node.names)
        else:
            names.update(child.id for child in ast.walk(node) if isinstance(child, ast.Name))
    return names


@cache
def _packages(root: Path) -> set[str]:
    found = {package.name for source in SOURCES for package in (root / source / "triptych").iterdir()}
    return found - {"client"}  # in pages, JavaScript names begin with `client.`


@cache
def _attributes(root: Path) -> set[str]:
    """The names of the attributes of spans, as the modules that make spans write them."""
    folder = root / "services" / "triptych"
    modules = [*folder.rglob("spans.py"), *(folder / "kit" / "tracing").glob("*.py")]
    return {found for module in modules for found in _ATTRIBUTE.findall(module.read_text())}


@cache
def _values(root: Path) -> set[str]:
    """The names of the values of the Helm chart, with those of the maps that they are in."""

    def names(values: object, above: str) -> Iterator[str]:
        for name, value in values.items() if isinstance(values, dict) else ():
            yield f"{above}{name}"
            yield from names(value, f"{above}{name}.")

    return set(names(yaml.safe_load((root / "deploy" / "helm" / "triptych" / "values.yaml").read_text()), ""))


@cache
def _topics() -> set[str]:
    return {spec.name for spec in Topics().catalogue(1, 1, reply_topics=2)}


@cache
def _files(root: Path) -> tuple[str, ...]:
    """The path of every file in `ROOTS` and in the root itself, with a slash in front."""
    found = [file for name in ROOTS for file in files_below(root / name)]
    return tuple(f"/{file.relative_to(root).as_posix()}" for file in [*found, *root.iterdir()])


def _is_file(name: str, root: Path) -> bool:
    """Whether a file with this path from the root, or with this end of its path, exists; `{a,b}` stands for both."""
    if braces := re.search(r"\{([^{}]*)\}", name):
        start, end = name[: braces.start()], name[braces.end() :]
        return all(_is_file(start + choice + end, root) for choice in braces[1].split(","))
    if name.split("/")[0] in ROOTS:
        return (root / name).exists()
    return any(file.endswith(f"/{name}") for file in _files(root))
