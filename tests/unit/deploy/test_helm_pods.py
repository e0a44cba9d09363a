"""The pods that the chart makes agree with the code, and have as few rights as they need."""

import os
import re
import tomllib
from typing import Any

import pytest
from typer.main import get_command

from tests.support.compose_file import DEPLOY, SERVICES
from tests.support.helm.chart import CHART, EXAMPLES, default_values
from tests.support.helm.manifests import SECRETS_FOLDER, Pod, of_kind, pods
from tests.support.helm.setting_names import files, read_by, secrets
from tests.support.pages import ROOT
from triptych.cli.__main__ import app
from triptych.cli.settings import SETTINGS_OF, CliSettings, Process
from triptych.kit.process.health import Health
from triptych.kit.process.secrets import SUFFIX
from triptych.kit.process.settings import PREFIX
from triptych.kit.process.stopping import FORCED_SECONDS

JOBS = ("provision", "migrate")
CLI = "cli"
PODS = [(example, pod) for example in EXAMPLES for pod in pods(example)]
RUNNING = [(example, pod) for example, pod in PODS if pod.component in SERVICES]
SECRETS, FILES = set(secrets()), set(files())


def names(given: list[tuple[str, Pod]]) -> list[str]:
    return [f"{example}-{pod.component}" for example, pod in given]


every_pod = pytest.mark.parametrize("pod", [pod for _, pod in PODS], ids=names(PODS))
every_service = pytest.mark.parametrize("pod", [pod for _, pod in RUNNING], ids=names(RUNNING))


def is_secret_file(name: str) -> bool:
    return name.endswith(SUFFIX) and name.removesuffix(SUFFIX) in SECRETS


def process_of(pod: Pod) -> Process:
    return Process(pod.component) if pod.component in SERVICES else Process.CLI


def given_settings(pod: Pod) -> dict[str, Any]:
    """The settings by field, with a text in place of each secret and of what another object says."""
    found = {}
    for name, entry in pod.environ.items():
        if name.startswith(PREFIX):
            is_known = "value" in entry and not is_secret_file(name)
            setting = name.removesuffix(SUFFIX) if is_secret_file(name) else name
            stand_in = "mongodb://mongo/?replicaSet=rs0" if setting.endswith("MONGO_URI") else "INFO"
            found[setting.removeprefix(PREFIX).lower()] = entry["value"] if is_known else stand_in
    return found


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_service_runs_and_the_jobs_are_commands(example: str) -> None:
    made = {pod.component: pod for pod in pods(example)}
    assert set(SERVICES) | {"provision"} <= set(made) <= {*SERVICES, *JOBS, CLI}
    assert all(made[service].container["args"] == [service] for service in SERVICES)
    commands: Any = get_command(app)
    for job in set(made) & set(JOBS):
        command, option, seconds = made[job].container["args"]
        assert (command, option) == (job, "--wait")
        assert command in commands.commands
        assert 0 < int(seconds) < made[job].owner["spec"]["activeDeadlineSeconds"]


@pytest.mark.parametrize("example", EXAMPLES)
def test_consumers_keep_their_names_and_the_gateway_needs_none(example: str) -> None:
    kinds = {pod.component: pod.owner["kind"] for pod in pods(example) if pod.component in SERVICES}
    assert kinds == {**dict.fromkeys(SERVICES, "StatefulSet"), "gateway": "Deployment"}
    for name, made in of_kind(example, "StatefulSet").items():
        service = of_kind(example, "Service")[made["spec"]["serviceName"]]
        assert service["spec"]["clusterIP"] == "None", name
        assert made["spec"]["podManagementPolicy"] == "Parallel"


def test_versions_are_those_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = (CHART / "Chart.yaml").read_text()
    assert re.findall(r"^(?:version|appVersion): (.*)$", chart, re.MULTILINE) == [version, version]
    assert {pod.container["image"] for pod in pods("plain")} == {f"registry.example/triptych:{version}"}
    digests = {pod.container["image"] for pod in pods("scaled")}
    assert len(digests) == 1
    assert re.fullmatch(r"registry\.example/triptych@sha256:[0-9a-f]{64}", digests.pop())


@every_pod
def test_every_setting_exists_and_the_process_accepts_them_together(pod: Pod) -> None:
    known = {name for process in Process for name in read_by(process)} | {f"{name}{SUFFIX}" for name in SECRETS}
    ours = {name for name in pod.environ if name.startswith(PREFIX)}
    assert ours <= known
    assert all(name.startswith("OTEL_") for name in set(pod.environ) - ours)
    SETTINGS_OF[process_of(pod)].model_validate(given_settings(pod))


@every_pod
def test_no_secret_is_in_a_manifest(pod: Pod) -> None:
    for name in SECRETS & set(pod.environ):
        if name == "TRIPTYCH_MONGO_URI" and "value" in pod.environ[name]:
            assert "@" not in pod.environ[name]["value"]
        else:
            assert set(pod.environ[name]["valueFrom"]) == {"secretKeyRef"}


@every_pod
def test_each_process_gets_its_own_secrets_only(pod: Pod) -> None:
    given = {name.removesuffix(SUFFIX) if is_secret_file(name) else name for name in pod.environ}
    limited = {"TRIPTYCH_SECRETS_KEY", *(name for name in SECRETS | FILES if name.startswith("TRIPTYCH_GATEWAY_"))}
    if pod.component in SERVICES:
        assert given & limited <= read_by(process_of(pod))
        assert ("TRIPTYCH_SECRETS_KEY" in given) is ("TRIPTYCH_SECRETS_KEY" in read_by(process_of(pod)))
    else:
        assert given & limited == ({"TRIPTYCH_SECRETS_KEY"} if pod.component == CLI else set())


@every_pod
def test_every_file_that_a_setting_names_is_in_the_pod(pod: Pod) -> None:
    named = {
        entry["value"]
        for name, entry in pod.environ.items()
        if "value" in entry and entry["value"].startswith(SECRETS_FOLDER)
    }
    assert named == pod.files()
    assert all(mount.get("subPath") is None for mount in pod.container["volumeMounts"]), "it would not be renewed"


@every_service
def test_ports_are_those_of_the_settings(pod: Pod) -> None:
    (port,) = pod.container["ports"]
    for service in SERVICES:
        field = f"{service}_port"
        assert pod.environ[f"{PREFIX}{field.upper()}"]["value"] == str(CliSettings.model_fields[field].default)
    assert str(port["containerPort"]) == pod.environ[f"{PREFIX}{pod.component.upper()}_PORT"]["value"]
    assert port["name"] == ("https" if "TRIPTYCH_GATEWAY_TLS_CERTIFICATE_FILE" in pod.environ else "http")


@every_service
def test_probes_ask_for_paths_that_exist(pod: Pod) -> None:
    (port,) = pod.container["ports"]
    paths = {route.path for route in Health().routes()}
    asked = {kind: pod.container[f"{kind}Probe"] for kind in ("liveness", "readiness")}
    assert {kind: found["httpGet"]["path"] for kind, found in asked.items()} == {
        "liveness": "/health/live",
        "readiness": "/health/ready",
    }
    for found in asked.values():
        assert found["httpGet"]["path"] in paths
        assert found["httpGet"]["port"] == port["containerPort"]
        assert found["httpGet"].get("scheme", "HTTP") == port["name"].upper()
        assert found["timeoutSeconds"] >= 5, "checks and details of readiness have two seconds each"
    # A process that has no time to answer is not restarted before a loop that stands still ends it.
    assert asked["liveness"]["periodSeconds"] * asked["liveness"]["failureThreshold"] >= 60


@every_service
def test_a_process_has_time_to_stop(pod: Pod) -> None:
    before = pod.container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])
    assert before[0] == "sleep"
    assert pod.spec["terminationGracePeriodSeconds"] >= FORCED_SECONDS + 1.5 + int(before[1])
    assert (pod.component == "gateway") is (before[1] != "0"), "proxies send requests until they know that a pod ends"


@every_pod
def test_rights_are_dropped(pod: Pod) -> None:
    (user,) = re.findall(r"^USER (\d+):(\d+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    rights = pod.spec["securityContext"]
    assert rights["runAsNonRoot"] is True
    assert (rights["runAsUser"], rights["runAsGroup"]) == tuple(map(int, user))
    assert rights["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod.container["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod.spec["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(pod.spec)
    assert not [volume for volume in pod.spec["volumes"] if "hostPath" in volume]


@every_pod
def test_only_a_small_folder_in_memory_can_be_written(pod: Pod) -> None:
    writable = [mount["name"] for mount in pod.container["volumeMounts"] if not mount.get("readOnly")]
    assert writable == ["tmp"]
    (tmp,) = [volume for volume in pod.spec["volumes"] if volume["name"] == "tmp"]
    assert tmp["emptyDir"] == {"medium": "Memory", "sizeLimit": "16Mi"}


@every_pod
def test_services_of_the_namespace_set_no_setting(pod: Pod) -> None:
    """Kubernetes would set TRIPTYCH_GATEWAY_PORT for the service triptych-gateway, to an address."""
    assert pod.spec["enableServiceLinks"] is False


@every_pod
def test_a_signal_ends_a_process_that_loads_its_modules(pod: Pod) -> None:
    assert pod.spec["shareProcessNamespace"] is True


@every_pod
def test_memory_is_limited_and_processor_time_is_not(pod: Pod) -> None:
    resources = pod.container["resources"]
    assert set(resources["requests"]) == {"cpu", "memory"}
    assert set(resources["limits"]) == {"memory"}


def test_a_pod_for_commands_waits_for_them() -> None:
    (waiting,) = [pod for pod in pods("secure") if pod.component == CLI]
    assert waiting.container["command"] == ["sleep", "infinity"], "the entry point would run a command"
    assert "args" not in waiting.container
    assert not [pod for pod in pods("plain") if pod.component == CLI]


def test_a_job_that_is_refused_is_not_tried_again() -> None:
    for example in EXAMPLES:
        for name, job in of_kind(example, "Job").items():
            (rule,) = job["spec"]["podFailurePolicy"]["rules"]
            assert (rule["action"], rule["onExitCodes"]["values"]) == ("FailJob", [os.EX_CONFIG]), name
            assert rule["onExitCodes"]["containerName"] == job["spec"]["template"]["spec"]["containers"][0]["name"]
            assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_jobs_run_when_the_page_about_upgrades_says() -> None:
    hooks = {name: job["metadata"]["annotations"]["helm.sh/hook"] for name, job in of_kind("scaled", "Job").items()}
    assert hooks == {"triptych-provision": "pre-install,pre-upgrade", "triptych-migrate": "post-upgrade"}
    assert set(of_kind("plain", "Job")) == {"triptych-provision"}
    assert default_values()["migrate"]["enabled"] is False


def test_the_value_of_a_service_wins_also_if_it_is_false() -> None:
    variable = "TRIPTYCH_GATEWAY_ACCESS_LOG"
    values = {pod.component: pod.environ[variable]["value"] for pod in pods("scaled")}
    assert values.pop("gateway") == "false"
    assert set(values.values()) == {"true"}


def test_a_large_number_is_printed_as_one() -> None:
    (gateway,) = [pod for pod in pods("secure") if pod.component == "gateway"]
    assert gateway.environ["TRIPTYCH_GATEWAY_ANSWERS_LIMIT"]["value"] == "67108864"
    assert gateway.environ["OTEL_TRACES_SAMPLER_ARG"]["value"] == "0.01"


def test_more_environment_and_volumes_are_passed_on() -> None:
    for pod in pods("scaled"):
        assert "configMapKeyRef" in pod.environ["TRIPTYCH_LOG_LEVEL"]["valueFrom"]
        assert "notes" in {volume["name"] for volume in pod.spec["volumes"]}
        assert "/notes" in {mount["mountPath"] for mount in pod.container["volumeMounts"]}


def test_pods_are_placed_as_the_values_say() -> None:
    placed = {pod.component: pod for pod in pods("scaled")}
    command, projector = placed["command"].spec, placed["projector"]
    assert command["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
    assert command["tolerations"] == [{"key": "galleries", "operator": "Exists", "effect": "NoSchedule"}]
    assert "podAntiAffinity" in command["affinity"]
    assert command["priorityClassName"] == "important"
    assert projector.owner["spec"]["template"]["metadata"]["annotations"] == {"team.example/owner": "galleries"}
    (spread,) = projector.spec["topologySpreadConstraints"]
    assert spread["whenUnsatisfiable"] == "DoNotSchedule"
    for pod in pods("plain"):
        if pod.component in SERVICES:
            (spread,) = pod.spec["topologySpreadConstraints"]
            assert spread["labelSelector"]["matchLabels"].items() <= pod.labels.items()
