"""The compose file and the code agree, and each container has as few rights as it needs."""

from typing import Any

import pytest
import yaml

from tests.support.compose_file import COMPOSE, DEPLOY, OURS, ROOT, SERVICES, read_compose, seconds, variables
from triptych.cli.settings import CliSettings
from triptych.cli.up import SERVICES as SERVICES_OF_THE_CODE
from triptych.devstack.containers import KAFKA_IMAGE, MONGO_IMAGE
from triptych.devstack.kafka_folder import BROKER_SETTINGS
from triptych.kit.process.settings import PREFIX
from triptych.kit.process.stopping import FORCED_SECONDS

COMPOSED = read_compose()
CONTAINERS: dict[str, dict[str, Any]] = COMPOSED["services"]
SETTINGS = {f"{PREFIX}{name.upper()}" for name in CliSettings.model_fields}
ROOT_AT_FIRST = {"mongo": {"CHOWN", "DAC_OVERRIDE", "SETGID", "SETUID"}}
"""Containers whose entry point begins as root, and what it needs to become another user."""


def test_every_service_of_the_code_has_a_container_of_its_own() -> None:
    assert set(SERVICES) == set(SERVICES_OF_THE_CODE)
    for name in SERVICES_OF_THE_CODE:
        assert CONTAINERS[name]["command"] == [name]


@pytest.mark.parametrize("name", OURS)
def test_every_setting_exists(name: str) -> None:
    environment = CONTAINERS[name]["environment"]
    assert set(environment) <= SETTINGS
    CliSettings.model_validate({key.removeprefix(PREFIX).lower(): value for key, value in environment.items()})


def test_the_ports_of_the_services_are_the_published_ones() -> None:
    for name in SERVICES:
        field = f"{name}_port"
        port = CliSettings.model_fields[field].default
        assert CONTAINERS[name]["environment"][f"{PREFIX}{field.upper()}"] == port
        for published in CONTAINERS[name].get("ports", []):
            assert published.endswith(f":{port}")


def test_every_variable_is_described() -> None:
    page = (ROOT / "docs" / "deploying.md").read_text()
    assert not {name for name in variables() if f"`{name}`" not in page}


@pytest.mark.parametrize("name", OURS)
def test_a_process_has_time_to_stop(name: str) -> None:
    assert seconds(CONTAINERS[name]["stop_grace_period"]) >= FORCED_SECONDS + 1.5


@pytest.mark.parametrize("name", CONTAINERS)
def test_ports_are_published_on_loopback_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in CONTAINERS[name].get("ports", []))


@pytest.mark.parametrize("name", CONTAINERS)
def test_rights_are_dropped(name: str) -> None:
    container = CONTAINERS[name]
    assert container["cap_drop"] == ["ALL"]
    assert set(container.get("cap_add", [])) == ROOT_AT_FIRST.get(name, set())
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "pid", "devices"} & set(container)


@pytest.mark.parametrize("name", OURS)
def test_a_container_of_ours_can_write_to_memory_only(name: str) -> None:
    container = CONTAINERS[name]
    assert container["read_only"] is True
    (mount,) = container["tmpfs"]
    assert mount.removeprefix("/").startswith("tmp:size=")
    assert "volumes" not in container
    assert container["init"] is True


def test_what_runs_is_limited_started_again_and_keeps_little_log() -> None:
    jobs = {"mongo-init", "provision", "cli"}
    for name, container in CONTAINERS.items():
        assert container["restart"] == ("no" if name in jobs else "unless-stopped"), name
        if name not in jobs:
            assert container["deploy"]["resources"]["limits"]["memory"], name
            assert container["logging"]["options"]["max-size"], name


def test_services_begin_when_topics_and_indexes_exist() -> None:
    for name in SERVICES:
        assert CONTAINERS[name]["depends_on"] == {"provision": {"condition": "service_completed_successfully"}}
    assert CONTAINERS["provision"]["depends_on"]["mongo-init"] == {"condition": "service_completed_successfully"}
    assert CONTAINERS["provision"]["command"][0] == "provision"


def test_a_plain_start_runs_neither_the_command_line_nor_what_observes() -> None:
    profiles = {name: container["profiles"] for name, container in CONTAINERS.items() if "profiles" in container}
    assert profiles == {"cli": ["cli"], "prometheus": ["observability"], "grafana": ["observability"]}


def test_servers_are_those_that_the_tests_use() -> None:
    assert CONTAINERS["kafka"]["image"] == KAFKA_IMAGE
    assert {CONTAINERS[name]["image"] for name in ("mongo", "mongo-init")} == {MONGO_IMAGE}
    environment = CONTAINERS["kafka"]["environment"]
    for name, value in BROKER_SETTINGS.items():
        assert str(environment[f"KAFKA_{name.upper().replace('.', '_')}"]) == value


def test_every_volume_and_mounted_folder_exists() -> None:
    for name, container in CONTAINERS.items():
        for mount in container.get("volumes", []):
            source = mount.partition(":")[0]
            assert source in COMPOSED["volumes"] or (DEPLOY / source).is_dir(), f"{name}: {source}"


def test_the_file_in_the_root_leads_here() -> None:
    content = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert [ROOT / path for path in content["include"]] == [COMPOSE]
    assert content["name"] == COMPOSED["name"] == "triptych"
