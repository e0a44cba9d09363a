"""Names a record by its position, as logs and headers write it: `triptych.commands-3@120`."""

import re
from typing import NamedTuple

PARTITION_MAX, OFFSET_MAX = 2**31 - 1, 2**63 - 1
_FORM = re.compile(r"([A-Za-z0-9._-]{1,249})-([0-9]{1,10})@([0-9]{1,19})")


class Position(NamedTuple):
    """Where a record is in Kafka."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        """Topic, partition and offset, as `parse_position` reads them."""
        return f"{self.topic}-{self.partition}@{self.offset}"


def parse_position(text: str) -> Position | None:
    """The position that a text names; None if the text is not one, or no record can be there."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    position = Position(found[1], int(found[2]), int(found[3]))
    return position if position.partition <= PARTITION_MAX and position.offset <= OFFSET_MAX else None
