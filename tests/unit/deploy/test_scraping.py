"""Prometheus asks every service at its port, and Grafana finds Prometheus and the dashboards."""

from pathlib import Path
from typing import Any

import yaml

from tests.support.compose_file import DEPLOY, SERVICES, read_compose
from triptych.cli.settings import CliSettings

OBSERVABILITY = DEPLOY / "observability"
CONTAINERS = read_compose()["services"]


def read(*path: str) -> Any:
    """The content of a YAML file."""
    return yaml.safe_load(OBSERVABILITY.joinpath(*path).read_text())


def mounts(container: str) -> dict[str, Path]:
    """Folders of the checkout by where a container has them."""
    pairs = [mount.split(":") for mount in CONTAINERS[container]["volumes"]]
    return {pair[1]: (DEPLOY / pair[0]).resolve() for pair in pairs if pair[0].startswith(".")}


def test_prometheus_scrapes_every_container_of_each_service_at_its_port() -> None:
    asked = {
        (job["job_name"], name, entry["type"], entry["port"])
        for job in read("prometheus", "prometheus.yaml")["scrape_configs"]
        for entry in job["dns_sd_configs"]
        for name in entry["names"]
    }
    ports = {name: CliSettings.model_fields[f"{name}_port"].default for name in SERVICES}
    assert asked == {(f"triptych-{name}", name, "A", port) for name, port in ports.items()}


def test_prometheus_reads_its_own_file_and_the_rules_in_its_folder() -> None:
    (folder,) = mounts("prometheus").items()
    (option,) = [word for word in CONTAINERS["prometheus"]["command"] if word.startswith("--config.file=")]
    file = Path(option.partition("=")[2])
    assert (str(file.parent), folder[1] / file.name) == (folder[0], OBSERVABILITY / "prometheus" / "prometheus.yaml")
    assert read("prometheus", "prometheus.yaml")["rule_files"] == [f"{folder[0]}/alerts.yaml"]


def test_grafana_finds_prometheus_and_the_dashboards() -> None:
    (source,) = read("grafana", "provisioning", "datasources", "prometheus.yaml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (folder,) = mounts("grafana").items()
    assert folder[1] == OBSERVABILITY / "grafana"
    assert CONTAINERS["grafana"]["environment"]["GF_PATHS_PROVISIONING"] == f"{folder[0]}/provisioning"
    (provider,) = read("grafana", "provisioning", "dashboards", "triptych.yaml")["providers"]
    assert provider["options"]["path"] == f"{folder[0]}/dashboards"


def test_nobody_can_log_in_to_grafana_with_its_known_password() -> None:
    environment = CONTAINERS["grafana"]["environment"]
    assert environment["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert environment["GF_AUTH_BASIC_ENABLED"] == "false"
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
