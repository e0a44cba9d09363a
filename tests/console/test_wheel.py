"""The wheel has the console, so whoever installs it needs no Node.js; the console is small."""

import gzip
import zipfile
from pathlib import Path

from tests.support.own_venv import built_wheel

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 150_000
FOLDER = "triptych/gateway/pages/console/"


def test_the_console_is_in_the_wheel_and_small(tmp_path: Path) -> None:
    with zipfile.ZipFile(built_wheel(ROOT, tmp_path)) as wheel:
        found = {name: wheel.read(name) for name in wheel.namelist() if name.startswith(FOLDER)}
    assert f"{FOLDER}index.html" in found
    assert len({name.rsplit(".")[-1] for name in found}) == 3
    assert sum(len(gzip.compress(content)) for content in found.values()) < LARGEST
