"""What an installation of the built wheel offers: one name at the top, and the server's libraries only on request."""

import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tests.support.own_venv import OwnVenv, built_wheel, run

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("wheel")]

CONSUMER = """
import sys
from triptych.client import Galleries, SnapshotAssembler
from triptych.contract.codec.envelope import decode_command
from triptych.contract.topics import Topics
assert not {"aiokafka", "pymongo", "fastapi", "faststream"} & set(sys.modules)
from triptych.client.webhooks import WebhookVerifier
WebhookVerifier("whsec_c2VjcmV0")
for needs, use in (
    ("triptych[client]", "from triptych.client import Commands"),
    ("triptych[client]", "from triptych.client import GalleryConsumer"),
    ("triptych[faststream]", "import triptych.client.faststream"),
    ("triptych[webhooks]", "WebhookVerifier('whpk_" + "A" * 43 + "=')"),
):
    try:
        exec(use)
    except ImportError as missing:
        assert needs in str(missing), missing
    else:
        raise AssertionError(use)
print(Topics().galleries)
"""
CLIENT = """
import sys
from triptych.client import Commands, GalleryConsumer, SQLiteStorage
import cramjam
assert not {"pymongo", "fastapi", "faststream", "jwt"} & set(sys.modules)
"""
FASTSTREAM = """
from triptych.client.faststream import GalleryEvents
GalleryEvents(group_id="g")
"""
WEBHOOKS = """
from triptych.client.webhooks import WebhookVerifier
WebhookVerifier("whpk_" + "A" * 43 + "=")
import jwt
"""
EVERYTHING = """
import importlib, pkgutil, triptych
names = [found.name for found in pkgutil.walk_packages(triptych.__path__, "triptych.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return built_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


def test_triptych_is_the_only_name_at_the_top(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        needs = Parser().parsestr(archive.read(metadata).decode()).get_all("Requires-Dist") or []
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"triptych"}
    assert "triptych/__init__.py" not in names
    for package in {name.split("/")[1] for name in names if name.startswith("triptych/")}:
        assert f"triptych/{package}/py.typed" in names
    assert sorted(need.split("<")[0].split(">")[0] for need in needs if "extra ==" not in need) == [
        "orjson",
        "pydantic",
    ]


def test_a_consumer_needs_pydantic_and_orjson_alone_and_extras_bring_the_rest(wheel: Path, tmp_path: Path) -> None:
    venv = OwnVenv(tmp_path / "venv")
    python, triptych = venv.python, venv.python.with_name("triptych")
    venv.install(wheel)
    venv.add_needs_of("triptych")
    assert run(python, "-c", CONSUMER).strip() == "triptych.galleries"
    for name in ("services", "schemas", "deploy"):
        assert "ModuleNotFoundError" in run(python, "-c", f"import {name}", status=1)
    assert "pip install 'triptych[server]'" in run(triptych, "--help", status=78)

    for extra, program in (("client", CLIENT), ("webhooks", WEBHOOKS), ("faststream", FASTSTREAM)):
        venv.add_needs_of("triptych", extra)
        run(python, "-c", program)

    venv.add_needs_of("triptych", "server")
    assert "Usage: triptych" in run(triptych, "--help")
    # The stack of a developer's machine reads one more library, where Docker is used.
    venv.add("testcontainers")
    venv.add("jsonschema-rs")  # whoever releases a version of the contract validates its examples
    venv.add_needs_of("triptych", "tracing")
    assert int(run(python, "-c", EVERYTHING)) > 200
