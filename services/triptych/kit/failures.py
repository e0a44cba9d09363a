"""The named kinds of failure, which decide what happens next: try again, give up on a record, refuse to start."""

from collections.abc import Iterable


class TransientFailure(Exception):
    """A dependency is away or busy: the same work may succeed later, so it is repeated and nothing is skipped."""


class OutcomeUnknown(TransientFailure):
    """A commit whose answer did not come: it may have taken effect or not.

    Nobody may be answered and no record may be dead-lettered for it. The same work is done again from its beginning,
    by whoever owns it then: that finds the outcome recorded, or carries the work out.
    """


class RecordTooLarge(Exception):
    """Records that the broker will not take as long as their topic's limit is what it is.

    `positions` are those of the records among the ones that were to be published.
    """

    def __init__(self, text: str, positions: Iterable[int] = ()) -> None:
        super().__init__(text)
        self.positions = frozenset(positions)


class OwnershipLost(Exception):
    """Another process owns these partitions now: whatever this one was about to write must not be written."""


class StartRefused(Exception):
    """The process cannot run safely as it is configured. The message is for the person who started it."""


class NotYetAvailable(StartRefused):
    """A server or topic that is needed is not there, and may be there later: services wait, commands end at once."""
