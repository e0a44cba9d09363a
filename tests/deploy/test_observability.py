"""Prometheus itself accepts its configuration with all rules. It needs no container, only `promtool`."""

import shutil

import pytest

from tests.support.compose_file import DEPLOY
from tests.support.deployment import run


@pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool (Debian: apt install prometheus)")
def test_prometheus_accepts_its_configuration() -> None:
    folder = DEPLOY / "observability" / "prometheus"
    run(["promtool", "check", "config", "--syntax-only", str(folder / "prometheus.yaml")])
    for rules in folder.glob("alerts.yaml"):
        run(["promtool", "check", "rules", str(rules)])
