"""What the chart makes around its pods finds them: services, budgets, policies, scaling and monitoring."""

import re
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
import yaml

from tests.support.compose_file import SERVICES
from tests.support.helm.chart import CHART, EXAMPLES
from tests.support.helm.manifests import COMPONENT, Object, of_kind, pods, selected
from tests.support.promql import ALERTS, DASHBOARDS
from triptych.cli.settings import CliSettings
from triptych.contract.topics import Topics

JOBS = ("provision", "migrate")
every_example = pytest.mark.parametrize("example", EXAMPLES)


def component(found: Object) -> str:
    name: str = found["metadata"]["labels"][COMPONENT]
    return name


def settings_of(example: str, service: str) -> dict[str, str]:
    """The plain settings of a service."""
    (pod,) = [pod for pod in pods(example) if pod.component == service]
    return {name: entry["value"] for name, entry in pod.environ.items() if "value" in entry}


@every_example
def test_selectors_find_the_pods_of_their_component_only(example: str) -> None:
    for kind in ("Deployment", "StatefulSet", "Service", "PodDisruptionBudget", "NetworkPolicy", "PodMonitor"):
        for name, made in of_kind(example, kind).items():
            selector = made["spec"]["podSelector" if kind == "NetworkPolicy" else "selector"]
            labels = selector if kind == "Service" else selector["matchLabels"]
            assert {pod.component for pod in selected(example, labels)} == {component(made)}, f"{kind} {name}"


@every_example
def test_everything_says_what_it_belongs_to(example: str) -> None:
    for kind in ("Deployment", "StatefulSet", "Job", "Service", "NetworkPolicy", "ConfigMap", "ServiceAccount"):
        for made in of_kind(example, kind).values():
            assert made["metadata"]["labels"]["app.kubernetes.io/instance"] == "triptych"
            assert made["metadata"]["labels"]["app.kubernetes.io/part-of"] == "triptych"


@every_example
def test_services_reach_a_port_of_their_pods(example: str) -> None:
    services = of_kind(example, "Service")
    assert set(services) == {f"triptych-{name}" for name in SERVICES}
    for made in services.values():
        (pod,) = selected(example, made["spec"]["selector"])
        (port,), (own,) = made["spec"]["ports"], pod.container["ports"]
        assert port["targetPort"] == port["name"] == own["name"]


def test_only_the_gateway_is_offered_to_others() -> None:
    (ingress,) = of_kind("secure", "Ingress").values()
    (rule,) = ingress["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert backend["name"] == "triptych-gateway"
    assert backend["port"]["name"] == of_kind("secure", "Service")["triptych-gateway"]["spec"]["ports"][0]["name"]
    assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"]]
    assert not of_kind("plain", "Ingress")
    types = {name: made["spec"].get("type", "ClusterIP") for name, made in of_kind("scaled", "Service").items()}
    assert types == {**{f"triptych-{name}": "ClusterIP" for name in SERVICES}, "triptych-gateway": "LoadBalancer"}


@every_example
def test_a_drained_node_takes_one_pod_of_a_service_at_a_time(example: str) -> None:
    budgets = of_kind(example, "PodDisruptionBudget")
    assert {component(made) for made in budgets.values()} == set(SERVICES)
    for made in budgets.values():
        assert made["spec"]["maxUnavailable"] == 1
        # A pod that waits for Kafka is not ready, and no reason to keep a node.
        assert made["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


@every_example
def test_the_default_account_is_used_or_one_without_token(example: str) -> None:
    for made in of_kind(example, "ServiceAccount").values():
        assert made["automountServiceAccountToken"] is False
    accounts = {pod.spec.get("serviceAccountName", "default") for pod in pods(example) if pod.component not in JOBS}
    assert accounts == {"triptych"}
    # Before the first installation, the account of the chart does not exist yet.
    jobs = {pod.spec.get("serviceAccountName", "default") for pod in pods(example) if pod.component in JOBS}
    assert jobs == ({"default"} if of_kind(example, "ServiceAccount") else {"triptych"})


# Network policies


def ports_of(rule: dict[str, Any]) -> set[int]:
    return {port["port"] for port in rule.get("ports", ())}


@every_example
def test_each_pod_has_one_policy_for_both_directions(example: str) -> None:
    policies = of_kind(example, "NetworkPolicy").values()
    assert sorted(component(made) for made in policies) == sorted(pod.component for pod in pods(example))
    assert all(made["spec"]["policyTypes"] == ["Ingress", "Egress"] for made in policies)


@every_example
def test_only_health_and_the_api_can_be_connected_to(example: str) -> None:
    for made in of_kind(example, "NetworkPolicy").values():
        name, rules = component(made), made["spec"].get("ingress", [])
        if name not in SERVICES:
            assert rules == []
            continue
        assert {port for rule in rules for port in ports_of(rule)} == {CliSettings.model_fields[f"{name}_port"].default}
        *api, metrics = rules
        monitoring = {"kubernetes.io/metadata.name": "monitoring"}
        assert metrics["from"] == [{"namespaceSelector": {"matchLabels": monitoring}}]
        assert len(api) == (1 if name == "gateway" else 0)


@every_example
def test_every_process_reaches_names_and_servers(example: str) -> None:
    bootstrap = settings_of(example, "command")["TRIPTYCH_KAFKA_BOOTSTRAP"]
    needed = {53, 27017, *(int(address.rpartition(":")[2]) for address in bootstrap.split(","))}
    for made in of_kind(example, "NetworkPolicy").values():
        rules = made["spec"]["egress"]
        assert needed <= {port for rule in rules for port in ports_of(rule)}
        (names,) = [rule for rule in rules if 53 in ports_of(rule)]
        assert {port["protocol"] for port in names["ports"]} == {"UDP", "TCP"}


@every_example
def test_the_relay_alone_reaches_any_port_and_public_addresses_only(example: str) -> None:
    for made in of_kind(example, "NetworkPolicy").values():
        open_rules = [rule for rule in made["spec"]["egress"] if not rule.get("ports")]
        assert len(open_rules) == (component(made) == "webhooks")
        if not open_rules:
            continue
        blocks = [peer["ipBlock"] for peer in open_rules[0]["to"]]

        def reaches(address: str, blocks: list[Any] = blocks) -> bool:
            found = ip_address(address)
            return any(
                found in ip_network(block["cidr"]) and not any(found in ip_network(no) for no in block["except"])
                for block in blocks
                if ip_network(block["cidr"]).version == found.version
            )

        assert reaches("8.8.8.8")
        assert reaches("2001:4860:4860::8888")
        for closed in ("10.1.2.3", "172.20.0.1", "192.168.1.1", "169.254.169.254", "127.0.0.1", "100.64.1.1"):
            assert not reaches(closed), closed
        for closed in ("::1", "fd00::1", "fe80::1"):
            assert not reaches(closed), closed


@every_example
def test_the_policy_of_a_job_is_there_before_the_job(example: str) -> None:
    """An upgrade may change where Kafka is: the policy of the former release would close the way."""
    policies = {component(made): made["metadata"] for made in of_kind(example, "NetworkPolicy").values()}
    for job in of_kind(example, "Job").values():
        hooks = policies[component(job)]["annotations"]
        assert hooks["helm.sh/hook"] == job["metadata"]["annotations"]["helm.sh/hook"]
        assert int(hooks["helm.sh/hook-weight"]) < 0
    assert not [name for name in policies if name not in JOBS and "annotations" in policies[name]]


# Scaling


def test_scaled_services_have_no_number_of_replicas() -> None:
    workloads = {**of_kind("scaled", "Deployment"), **of_kind("scaled", "StatefulSet")}
    scaled = [*of_kind("scaled", "HorizontalPodAutoscaler").values(), *of_kind("scaled", "ScaledObject").values()]
    assert {made["spec"]["scaleTargetRef"]["name"] for made in scaled} == set(workloads)
    for made in scaled:
        target = made["spec"]["scaleTargetRef"]
        assert workloads[target["name"]]["kind"] == target["kind"]
        assert "replicas" not in workloads[target["name"]]["spec"]
    for example in ("plain", "secure"):
        assert not of_kind(example, "ScaledObject")
        made = {**of_kind(example, "Deployment"), **of_kind(example, "StatefulSet")}
        replicas = {name: workload["spec"]["replicas"] for name, workload in made.items()}
        assert replicas == {name: 1 if name == "triptych-cli" else 2 for name in made}


def test_lag_is_that_of_the_groups_that_read() -> None:
    prefix = settings_of("scaled", "command")["TRIPTYCH_TOPIC_PREFIX"]
    settings, topics = CliSettings(topic_prefix=prefix), Topics(prefix)
    assert settings_of("scaled", "projector")["TRIPTYCH_HISTORY_RETENTION"] == "P30D"
    read = {
        "command": [(topics.commands, settings.command_group)],
        "projector": [(topics.events, settings.projector_group(2)), (topics.events, settings.history_group)],
        "webhooks": [(topics.events, settings.webhooks_group)],
    }
    for made in of_kind("scaled", "ScaledObject").values():
        triggers = [trigger for trigger in made["spec"]["triggers"] if trigger["type"] == "kafka"]
        asked = [trigger["metadata"] for trigger in triggers]
        assert [(one["topic"], one["consumerGroup"]) for one in asked] == read[component(made)]
        for trigger, one in zip(triggers, asked, strict=True):
            assert one["bootstrapServers"] == settings_of("scaled", "command")["TRIPTYCH_KAFKA_BOOTSTRAP"]
            assert trigger["authenticationRef"] == {"name": "kafka"}
            assert all(isinstance(value, str) for value in one.values())
        assert made["spec"]["minReplicaCount"] >= 1, "without any process, nobody could see that it is needed"
    assert len(of_kind("scaled", "ScaledObject")["triptych-webhooks"]["spec"]["triggers"]) == 2


# Monitoring


@pytest.mark.parametrize("example", ["secure", "scaled"])
def test_jobs_of_prometheus_have_the_names_that_alerts_know(example: str) -> None:
    monitors = of_kind(example, "PodMonitor").values()
    assert {component(made) for made in monitors} == set(SERVICES)
    for made in monitors:
        (endpoint,) = made["spec"]["podMetricsEndpoints"]
        assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": f"triptych-{component(made)}"}]
        (pod,) = selected(example, made["spec"]["selector"]["matchLabels"])
        assert endpoint["port"] == pod.container["ports"][0]["name"]
        assert endpoint.get("scheme", "http") == endpoint["port"]


def test_alerts_are_those_of_the_file_that_is_tested() -> None:
    (rule,) = of_kind("secure", "PrometheusRule").values()
    assert rule["spec"] == yaml.safe_load(ALERTS.read_text())


def test_alerts_and_dashboards_are_not_copied() -> None:
    """Links: helm follows them, also when it packs the chart."""
    files = CHART / "files"
    assert all(path.is_symlink() for path in files.iterdir())
    assert (files / "alerts.yaml").resolve() == ALERTS
    assert sorted(path.resolve() for path in (files / "dashboards").glob("*.json")) == DASHBOARDS


def test_names_of_groups_without_prefix_are_those_of_the_values() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    settings = CliSettings(topic_prefix="")
    assert values["command"]["keda"]["consumerGroup"] == settings.command_group
    assert values["projector"]["keda"]["consumerGroup"] == settings.projector_group(1)
    assert values["webhooks"]["keda"]["consumerGroup"] == settings.webhooks_group
    assert re.fullmatch(r"\w+\.v1", settings.webhooks_group)
