"""The named kinds of failure. The kind decides what happens next: try again, give up on a record, refuse to start."""

from collections.abc import Iterable


class TransientFailure(Exception):
    """A dependency is away or busy. The same work may succeed later, so it is repeated and nothing is skipped."""


class OutcomeUnknown(TransientFailure):
    """A commit got no response: it may have taken effect or not.

    No reply may be sent and no record may be dead-lettered because of it. The current owner does the same work again
    from its beginning, and either finds the outcome recorded or carries the work out.
    """


class RecordTooLarge(Exception):
    """Records that exceed the size limit of their topic. The broker refuses them until the limit is raised.

    `positions` are their indexes in the list that was to be published.
    """

    def __init__(self, text: str, positions: Iterable[int] = ()) -> None:
        super().__init__(text)
        self.positions = frozenset(positions)


class OwnershipLost(Exception):
    """Another process owns these partitions now, so this process must not write for them."""


class StartRefused(Exception):
    """The process cannot run safely as it is configured. The message is for the person who started it."""


class NotYetAvailable(StartRefused):
    """A required server or topic is missing and may appear later: services wait for it, commands end at once."""
