"""The named kinds of failure, which decide what happens next: try again, give up on a record, refuse to start."""


class TransientFailure(Exception):
    """A dependency is away or busy: the same work may succeed later, so it is repeated and nothing is skipped."""


class RecordTooLarge(Exception):
    """A record that the broker will never take; sending it again is useless."""


class OwnershipLost(Exception):
    """Another process owns these partitions now: whatever this one was about to write must not be written."""


class StartRefused(Exception):
    """The process cannot run safely as it is configured. The message is for the person who started it."""
