"""The chart is well formed, makes the manifests of the repository, and refuses what would not run."""

import tarfile
from pathlib import Path

import pytest
import yaml

from tests.support.helm.chart import CHART, EXAMPLES, refusal, render, rendered_file, run_helm
from tests.support.promql import ALERTS, DASHBOARDS

pytestmark = pytest.mark.usefixtures("helm")
every_example = pytest.mark.parametrize("example", EXAMPLES)


@every_example
def test_the_linter_finds_nothing(example: str) -> None:
    done = run_helm("lint", "--strict", CHART, "--values", EXAMPLES[example])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout


def test_the_values_of_the_chart_alone_pass_the_linter() -> None:
    done = run_helm("lint", "--strict", CHART)
    assert done.returncode == 0, done.stdout + done.stderr


@every_example
def test_the_manifests_in_the_repository_are_those_of_the_chart(example: str) -> None:
    """As objects: releases of helm may differ in their spaces."""
    kept, made = (list(yaml.safe_load_all(text)) for text in (rendered_file(example).read_text(), render(example)))
    assert kept == made, "run `make helm` and review the difference"


def test_dashboards_are_those_of_the_repository() -> None:
    more = ("--set", "dashboards.enabled=true", "--show-only", "templates/dashboards.yaml")
    made = list(yaml.safe_load_all(render("plain", *more)))
    found = {name: text for config in made for name, text in config["data"].items()}
    assert found == {f"triptych-{path.name}": path.read_text() for path in DASHBOARDS}
    assert all(config["metadata"]["labels"]["grafana_dashboard"] == "1" for config in made)


def test_a_packed_chart_contains_alerts_and_dashboards(tmp_path: Path) -> None:
    done = run_helm("package", CHART, "--destination", tmp_path)
    assert done.returncode == 0, done.stderr
    (packed,) = tmp_path.glob("*.tgz")
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path, filter="data")
    files = tmp_path / "triptych" / "files"
    assert (files / "alerts.yaml").read_text() == ALERTS.read_text()
    assert sorted(path.name for path in (files / "dashboards").iterdir()) == [path.name for path in DASHBOARDS]


@pytest.mark.parametrize(
    "name", ["settings.TRIPTYCH_KAFKA_BOOTSTRAP", "settings.TRIPTYCH_MONGO_URI", "secrets.TRIPTYCH_SECRETS_KEY"]
)
def test_what_is_missing_is_named(name: str, tmp_path: Path) -> None:
    values = yaml.safe_load(EXAMPLES["plain"].read_text())
    block, _, setting = name.partition(".")
    del values[block][setting]
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values))
    assert f"{name} is missing" in refusal(values=file)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ("--set", "settings.TRIPTYCH_SECRETS_KEY_FILE=/vault/key"),
            "TRIPTYCH_SECRETS_KEY_FILE is in settings and TRIPTYCH_SECRETS_KEY is in secrets",
        ),
        (
            (
                *("--set", "secrets.TRIPTYCH_MONGO_TLS_CA_FILE.secret=a"),
                *("--set", "secrets.TRIPTYCH_MONGO_TLS_CA_FILE.key=b"),
                *("--set", "command.settings.TRIPTYCH_MONGO_TLS_CA_FILE=/c"),
            ),
            "TRIPTYCH_MONGO_TLS_CA_FILE is in settings and TRIPTYCH_MONGO_TLS_CA_FILE is in secrets",
        ),
        (("--set", "gateway.preStopSeconds=20"), "gateway.terminationGracePeriodSeconds must be at least 45"),
        (("--set", "projector.terminationGracePeriodSeconds=24"), "terminationGracePeriodSeconds"),
        (
            ("--set", "settings.TRIPTYCH_KAFKA_BOOTSTRAP=kafka:9093"),
            "networkPolicy.kafka.ports does not contain the port of kafka:9093",
        ),
        (
            ("--set", "secrets.TRIPTYCH_KAFKA_OAUTH_TOKEN_FILE.tokenAudience=kafka"),
            "secrets.TRIPTYCH_KAFKA_OAUTH_TOKEN_FILE is a token of the service account",
        ),
        (("--set", "settings.TRIPTYCH_TOPIC_REPLICATOIN=3"), "TRIPTYCH_TOPIC_REPLICATOIN"),
        (("--set", "settings.TRIPTYCH_KAFKA_PASSWORD=secret"), "TRIPTYCH_KAFKA_PASSWORD"),
        (("--kube-version", "v1.30.0"), "kubeVersion"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, tuple) else None,
)
def test_what_would_not_run_is_refused(options: tuple[str, ...], says: str) -> None:
    assert says in refusal(*options)


@pytest.mark.parametrize(
    ("retention", "groups"),
    [
        ("projector.settings.TRIPTYCH_HISTORY_RETENTION=0", ["projector.v2"]),
        ("projector.settings.TRIPTYCH_HISTORY_RETENTION=86400", ["projector.v2", "history.v1"]),
    ],
)
def test_projectors_scale_by_the_lag_of_a_history_only_if_there_is_one(retention: str, groups: list[str]) -> None:
    made = yaml.safe_load_all(render("scaled", "--set", retention, "--show-only", "templates/scaling.yaml"))
    (projector,) = [found for found in made if found["metadata"]["name"] == "triptych-projector"]
    asked = [trigger["metadata"]["consumerGroup"] for trigger in projector["spec"]["triggers"]]
    assert asked == [f"galleries.{group}" for group in groups]


def test_what_is_turned_off_is_not_made() -> None:
    names = ("provision.enabled", "networkPolicy.enabled", "serviceAccount.create", "gateway.disruptionBudget.enabled")
    made = render("plain", *(word for name in names for word in ("--set", f"{name}=false")))
    kinds = [found["kind"] for found in yaml.safe_load_all(made)]
    assert sorted(kinds) == sorted(["Deployment", *["StatefulSet"] * 3, *["Service"] * 4, *["PodDisruptionBudget"] * 3])


def test_a_long_name_of_a_release_stays_within_the_limits_of_kubernetes() -> None:
    done = run_helm("template", "a" * 53, CHART, "--values", EXAMPLES["plain"])
    assert done.returncode == 0, done.stderr
    for found in yaml.safe_load_all(done.stdout):
        # The label of a revision is the name of the StatefulSet with 11 more characters.
        assert len(found["metadata"]["name"]) <= 52
