"""Asks the code of Kubernetes' API server whether it would create objects: `tests/helm/go`, compiled into the cache."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.helm.manifests import Object
from tests.support.pages import ROOT
from tests.support.tools.running import build_go, made, need

FOLDER = ROOT / "tests" / "helm" / "go"
PROGRAM = "accept"


@dataclass(frozen=True)
class Verdict:
    """What the server says of an object.

    Attributes:
        refused: why it is not created; empty if it is.
        warnings: what kubectl would print.
        security: what its pods have that the Pod Security Standard `restricted` does not allow.
    """

    refused: str
    warnings: list[str]
    security: list[str]


def program() -> Path:
    """The compiled program. The first time takes minutes, and 1 GB of Go's caches. Raises ToolchainMissing."""
    need("go")
    return made(FOLDER, ("go.mod", "accept.go"), lambda folder: build_go(folder, PROGRAM)) / PROGRAM


def verdicts(objects: Mapping[str, Object]) -> dict[str, Verdict]:
    """What the server says of each of the named objects. Raises ToolchainMissing."""
    asked = json.dumps(objects)
    done = subprocess.run([str(program())], input=asked, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{PROGRAM} failed:\n{done.stderr}")
    return {name: Verdict(**said) for name, said in json.loads(done.stdout).items()}
