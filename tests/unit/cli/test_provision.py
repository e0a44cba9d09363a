"""Provisioning waits for servers as long as it is told to, and for nothing else."""

import pytest

from triptych.cli import provision as module
from triptych.cli import waiting
from triptych.cli.provision import provision_within
from triptych.cli.settings import CliSettings
from triptych.kit.failures import NotYetAvailable, StartRefused


class Servers:
    """Servers that come after a number of attempts, or refuse."""

    def __init__(self, *answers: Exception | list[str]) -> None:
        self.answers = list(answers)

    async def provision(self, _settings: CliSettings) -> list[str]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(waiting, "LONGEST_PAUSE_SECONDS", 0.001)


async def test_servers_that_come_later_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    servers = Servers(NotYetAvailable("Kafka does not answer"), NotYetAvailable("no primary"), ["triptych.events"])
    monkeypatch.setattr(module, "provision", servers.provision)
    assert await provision_within(CliSettings(), 60) == ["triptych.events"]
    assert capsys.readouterr().err == "waiting: Kafka does not answer\nwaiting: no primary\n"


@pytest.mark.parametrize("seconds", [0, 0.01])
async def test_the_wait_ends(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(module, "provision", Servers(NotYetAvailable("Kafka does not answer")).provision)
    with pytest.raises(NotYetAvailable, match="Kafka does not answer"):
        await provision_within(CliSettings(), seconds)


async def test_a_refusal_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = Servers(StartRefused("a standalone server"), ["never"])
    monkeypatch.setattr(module, "provision", servers.provision)
    with pytest.raises(StartRefused, match="a standalone server"):
        await provision_within(CliSettings(), 60)
