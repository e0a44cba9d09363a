"""Imports run one way (docs/architecture/README.md): a walk over every module of the product."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = {"command", "projector", "gateway", "webhooks"}
# What two services share; it imports neither.
SHARED = {"readmodel", "listeners"}
# Modules that decide without I/O: they see the standard library, `schemas`, and other pure modules of their service.
PURE = {
    *(
        f"services/command/{name}.py"
        for name in (
            "galleries",
            "handlers",
            "items",
            "moves",
            "neighbours",
            "rebalancing",
            "sort_orders",
            "state",
            "steps",
            "workspace",
        )
    ),
    "services/projector/joined.py",
    "services/projector/projection.py",
    "services/webhooks/addresses.py",
    "services/webhooks/delivery.py",
    "services/webhooks/signing.py",
}


def modules() -> list[Path]:
    return [path for top in ("services", "schemas", "deploy") for path in sorted((ROOT / top).rglob("*.py"))]


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def names(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", modules(), ids=names)
def test_imports_run_one_way(path: Path) -> None:
    place = path.relative_to(ROOT).parts
    seen = imports(path)
    if place[0] == "schemas":
        forbidden = {name for name in seen if name.split(".")[0] in {"services", "deploy"}}
    elif place[:2] == ("services", "kit"):
        forbidden = {name for name in seen if name.startswith(("schemas", "deploy"))}
        forbidden |= {name for name in seen if name.startswith("services.") and not name.startswith("services.kit")}
    elif place[0] == "services" and place[1] in SERVICES:
        others = SERVICES - {place[1]} | {"cli"}
        forbidden = {name for name in seen if name.startswith(tuple(f"services.{other}" for other in others))}
        forbidden |= {name for name in seen if name.startswith("deploy")}
    elif place[0] == "services" and place[1] in SHARED:
        allowed = ("services.kit", f"services.{place[1]}")
        forbidden = {name for name in seen if name.startswith("services.") and not name.startswith(allowed)}
    elif place[0] == "deploy":
        forbidden = {name for name in seen if name.startswith(("services", "schemas"))}
    else:
        forbidden = set()
    assert not forbidden


@pytest.mark.parametrize("path", modules(), ids=names)
def test_only_one_file_names_the_mongodb_driver(path: Path) -> None:
    if names(path) == "services/kit/mongo.py" or names(path).startswith("deploy/local/"):
        return
    assert not {name for name in imports(path) if name.split(".")[0] in {"pymongo", "motor", "bson"}}


@pytest.mark.parametrize("name", sorted(PURE))
def test_pure_modules_do_no_io(name: str) -> None:
    drivers = ("asyncio", "aiokafka", "faststream", "pymongo", "fastapi", "httpx", "aiohttp", "services.kit")
    assert not {seen for seen in imports(ROOT / name) if seen.startswith(drivers)}
