"""Which provider of servers is chosen, and the message if none can be used."""

from collections.abc import Callable, Sequence

import pytest

from triptych.devstack.stack import Provider, ProviderProbes, StackUnavailable, choose

BOTH = {"TRIPTYCH_KAFKA_BOOTSTRAP": "kafka:9092", "TRIPTYCH_MONGO_URI": "mongodb://mongo"}


def lacking(*lacks: str) -> Callable[[], Sequence[str]]:
    return lambda: lacks


def not_called() -> Sequence[str]:
    pytest.fail("this probe is slow and must not be called here")


def test_addresses_given_are_used_without_probing() -> None:
    assert choose(BOTH, ProviderProbes(not_called, not_called)) is Provider.EXTERNAL


def test_docker_comes_before_processes() -> None:
    assert choose({}, ProviderProbes(lacking(), not_called)) is Provider.CONTAINERS


def test_processes_are_used_without_docker() -> None:
    assert choose({}, ProviderProbes(lacking("no engine"), lacking())) is Provider.PROCESSES


@pytest.mark.parametrize("name", BOTH)
def test_one_address_alone_is_refused_naming_the_other(name: str) -> None:
    other = (set(BOTH) - {name}).pop()
    with pytest.raises(StackUnavailable, match=f"{other} is not set"):
        choose({name: BOTH[name]}, ProviderProbes(not_called, not_called))


def test_one_message_says_everything_that_is_missing() -> None:
    with pytest.raises(StackUnavailable) as refused:
        choose({}, ProviderProbes(lacking("no engine"), lacking("no java: install it", "no mongod: get it")))
    for text in ("no engine", "no java: install it", "no mongod: get it", *BOTH):
        assert text in str(refused.value)


@pytest.mark.parametrize(
    ("wanted", "probes"),
    [("processes", ProviderProbes(not_called, lacking())), ("containers", ProviderProbes(lacking(), not_called))],
)
def test_override_wins_over_addresses_and_order(wanted: str, probes: ProviderProbes) -> None:
    assert choose({**BOTH, "TRIPTYCH_STACK": wanted}, probes) == wanted


@pytest.mark.parametrize("wanted", ["processes", "containers"])
def test_impossible_override_says_what_is_missing(wanted: str) -> None:
    probes = ProviderProbes(lacking("this is missing"), lacking("this is missing"))
    with pytest.raises(StackUnavailable, match=rf"TRIPTYCH_STACK={wanted} is impossible(.|\n)*this is missing"):
        choose({"TRIPTYCH_STACK": wanted}, probes)


def test_external_override_without_addresses_names_them() -> None:
    with pytest.raises(StackUnavailable, match=r"TRIPTYCH_KAFKA_BOOTSTRAP(.|\n)*TRIPTYCH_MONGO_URI"):
        choose({"TRIPTYCH_STACK": "external"}, ProviderProbes(not_called, not_called))


def test_unknown_override_names_the_choices() -> None:
    with pytest.raises(StackUnavailable, match="external, containers, processes"):
        choose({"TRIPTYCH_STACK": "cloud"}, ProviderProbes(not_called, not_called))


def test_empty_values_count_as_absent() -> None:
    environ = {**dict.fromkeys(BOTH, ""), "TRIPTYCH_STACK": ""}
    assert choose(environ, ProviderProbes(lacking(), not_called)) is Provider.CONTAINERS
