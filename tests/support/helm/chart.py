"""Says where the chart, its sets of values and its rendered manifests are, and runs helm."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.support.pages import ROOT

HELM = ROOT / "deploy" / "helm"
CHART = HELM / "triptych"
SCHEMA = CHART / "values.schema.json"
EXAMPLES = {path.stem: path for path in sorted((HELM / "examples").glob("*.yaml"))}
"""Sets of values, by name. Each is rendered into a file of the same name."""
RELEASE, NAMESPACE = "triptych", "galleries"
KUBERNETES = "1.34"
"""The release of Kubernetes for which the manifests are rendered and checked."""


def rendered_file(example: str) -> Path:
    """Where the manifests of a set of values are kept."""
    return HELM / "rendered" / f"{example}.yaml"


def default_values() -> dict[str, Any]:
    """The values of the chart itself."""
    values: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return values


def helm_missing() -> str | None:
    """Why helm cannot be run here; None if it can."""
    return None if shutil.which("helm") else "helm is not on the PATH; docs/kubernetes.md says which version"


def run_helm(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run helm, whatever its exit status is.

    It renders for KUBERNETES unless the words say otherwise: which release helm itself assumes depends on its build.
    """
    release = ["--kube-version", f"v{KUBERNETES}.0"] if words[0] == "template" and "--kube-version" not in words else []
    command = ["helm", *map(str, words), *release]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def render(example: str, *more: str) -> str:
    """The manifests that helm makes of a set of values; `more` are further options."""
    done = run_helm("template", RELEASE, CHART, "--values", EXAMPLES[example], "--namespace", NAMESPACE, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(*more: str, values: Path = EXAMPLES["plain"]) -> str:
    """What helm says about a set of values with these further options, which it refuses to render."""
    done = run_helm("template", RELEASE, CHART, "--values", values, *more)
    assert done.returncode != 0, f"rendered with {more}"
    return done.stderr
