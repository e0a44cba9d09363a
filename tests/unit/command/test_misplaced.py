"""A command is refused as misplaced only by an owner whose layout is the present one."""

from collections.abc import Iterable
from typing import Any, cast

import pytest
from aiokafka import ConsumerRecord

from tests.support.commands import structured
from triptych.command.flow.executor import CarryOutResult
from triptych.command.handler import CommandHandler
from triptych.contract.topics import Topics
from triptych.kit.failures import OwnershipLost
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.transit import FORWARDED

PARTITIONS = 6
GALLERY = "10000000-0000-4000-8000-000000000000"
ELSEWHERE = (partition_of(GALLERY.encode(), PARTITIONS) + 1) % PARTITIONS
VALUE = structured("ClearGallery", {"galleryId": GALLERY})
MISPLACED: ConsumerRecord[Any, Any] = ConsumerRecord(
    "commands", ELSEWHERE, 7, 0, 0, b"key", VALUE, None, 0, 0, ((FORWARDED, b"x"),)
)


class Others:
    """Everything that the handler works with; notes the dead letters."""

    def __init__(self, *, is_owner: bool) -> None:
        self._is_owner = is_owner
        self.letters_of: list[Any] = []

    async def check(self, partitions: Iterable[int]) -> None:
        assert set(partitions) == {MISPLACED.partition}
        if not self._is_owner:
            raise OwnershipLost("partitions were added")

    async def partitions(self, _topic: str) -> int:
        return PARTITIONS

    async def carry_out(self, _commands: object) -> CarryOutResult:
        return CarryOutResult()

    async def letters(self, refused: Iterable[Any]) -> list[Any]:
        self.letters_of += refused
        return []

    def report(self, _refused: object) -> None:
        """Nothing to do."""

    async def publish(self, *_: object) -> None:
        """Nothing to do."""


def handler(others: Others) -> CommandHandler:
    fake = cast("Any", others)
    return CommandHandler(fake, fake, fake, fake, fake, fake, Topics())


async def test_the_present_owner_refuses_a_command_that_is_misplaced() -> None:
    others = Others(is_owner=True)
    await handler(others).handle([MISPLACED])
    assert [reason for _, reason, _ in others.letters_of] == ["misplaced"]


async def test_a_former_owner_prepares_again_instead() -> None:
    others = Others(is_owner=False)
    with pytest.raises(OwnershipLost):
        await handler(others).handle([MISPLACED])
    assert not others.letters_of
