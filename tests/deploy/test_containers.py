"""What a container of the image may do, what is in it, and how it starts and stops."""

import json

import pytest

from tests.support.deployment import IMAGE, SERVICES, Deployment, image_bytes, run
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(1_200)
KEPT = "0f9a3c52-8d0e-4b6f-9a57-2f1f3f0c7e11"
RUN = ("docker", "run", "--rm")
UNWANTED = ("gcc", "cc", "g++", "ld", "make", "git", "curl", "wget")
IMAGE_BYTES_MAX = 400_000_000
CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")


def status_of(deployed: Deployment, service: str) -> dict[str, str]:
    """The status of the service's process, which is the child of the init process."""
    show = "read -r child rest </proc/1/task/1/children; cat /proc/$child/status"
    lines = deployed.compose("exec", "-T", service, "sh", "-c", show).splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_no_rights(deployed: Deployment, service: str) -> None:
    status = status_of(deployed, service)
    assert status["Name"] == "python"
    assert set(status["Uid"].split()) == {"10001"}
    assert {int(status[name], 16) for name in CAPABILITIES} == {0}
    assert status["NoNewPrivs"] == "1"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_can_write_only_to_its_temporary_folder(deployed: Deployment, service: str) -> None:
    tried = "for f in / /opt/triptych /usr/local/bin /var/tmp /tmp; do touch $f/x 2>/dev/null && echo in $f; done; true"
    assert deployed.compose("exec", "-T", service, "sh", "-c", tried) == "in /tmp\n"


def test_the_image_has_no_compiler_and_no_package_installer_of_its_own(deployed: Deployment) -> None:
    look = f"for p in {' '.join(UNWANTED)}; do command -v $p; done; ls /opt/triptych/bin; true"
    found = run([*RUN, "--network", "none", "--entrypoint", "sh", IMAGE, "-c", look])
    names = {line.rpartition("/")[2] for line in found.split()}
    assert not names & {*UNWANTED, "pip", "pip3"}
    assert "triptych" in names


def test_the_image_is_small(deployed: Deployment) -> None:
    assert image_bytes() < IMAGE_BYTES_MAX


def test_every_module_is_compiled(deployed: Deployment) -> None:
    # The root file system is read-only, so what is not compiled would be compiled at every start.
    root = "pathlib.Path(sysconfig.get_path('purelib'))"
    missing = "[str(p) for p in root.rglob('*.py') if not list(p.parent.glob(f'__pycache__/{p.stem}.*.pyc'))]"
    look = f"import pathlib, sysconfig; root = {root}; print({missing})"
    assert deployed.compose("exec", "-T", "gateway", "python", "-c", look).strip() == "[]"


def test_a_word_that_is_no_role_is_a_command_of_triptych(deployed: Deployment) -> None:
    assert "Usage: triptych" in run([*RUN, "--network", "none", IMAGE])
    assert "No such command 'gatway'" in run([*RUN, "--network", "none", IMAGE, "gatway"], status=2)


def test_outside_of_the_compose_file_the_relay_needs_a_secrets_key(deployed: Deployment) -> None:
    # Without those of the compose file, these are all the settings that a service needs.
    network = ("--network", f"{deployed.project}_default")
    addresses = (
        "-e",
        "TRIPTYCH_KAFKA_BOOTSTRAP=kafka:9092",
        "-e",
        "TRIPTYCH_MONGO_URI=mongodb://mongo/?replicaSet=rs0",
    )
    assert "TRIPTYCH_SECRETS_KEY is not set" in run([*RUN, *network, *addresses, IMAGE, "webhooks"], status=78)


def test_jobs_end_with_0_and_services_are_healthy(deployed: Deployment) -> None:
    for job in ("mongo-init", "provision"):
        state = deployed.inspect(job)["State"]
        assert (state["Status"], state["ExitCode"]) == ("exited", 0), job
    for service in SERVICES:
        assert deployed.inspect(service)["State"]["Health"]["Status"] == "healthy", service


async def test_a_service_that_waits_for_kafka_is_unhealthy_but_lives_and_recovers(deployed: Deployment) -> None:
    async def is_every_service(health: str) -> bool:
        return {deployed.inspect(service)["State"]["Health"]["Status"] for service in SERVICES} == {health}

    started = {service: deployed.inspect(service)["State"]["StartedAt"] for service in SERVICES}
    deployed.compose("pause", "kafka")
    try:
        await eventually(lambda: is_every_service("unhealthy"), "all wait for Kafka", deadline_seconds=120)
        assert "command: " in deployed.compose("exec", "-T", "command", "python", "-m", "triptych.cli.probe", "--live")
    finally:
        deployed.compose("unpause", "kafka")
    await eventually(lambda: is_every_service("healthy"), "all are ready again", deadline_seconds=120)
    assert {service: deployed.inspect(service)["State"]["StartedAt"] for service in SERVICES} == started


def test_a_stop_is_orderly_and_a_start_finds_everything_again(deployed: Deployment) -> None:
    command = json.dumps({"galleryId": KEPT, "gallery": {"name": "kept"}})
    deployed.cli("send", "CreateGallery", command, "--id", "kept")
    keys = deployed.cli("keys", "create", "kept")
    assert keys.startswith("tk_")
    deployed.compose("stop")
    for service in SERVICES:
        state = deployed.inspect(service)["State"]
        assert (state["Status"], state["ExitCode"]) == ("exited", 0), service
    deployed.compose("down")
    deployed.up()
    assert "kept" in deployed.cli("keys", "list")
    assert "equal to the write model" in deployed.cli("verify")
    again = json.loads(deployed.cli("send", "CreateGallery", command, "--id", "kept"))
    assert (again["outcome"], again["galleryId"]) == ("accepted", KEPT)
