"""Names the kinds of failure, and says whose fault an error is: that decides what happens next."""

from collections.abc import Iterable
from enum import Enum
from functools import singledispatch


class TransientFailure(Exception):
    """A dependency is away or busy. The same work may succeed later, so it is repeated and nothing is skipped."""


class BriefStop(TransientFailure):
    """Nobody may do this work at this moment. That ends soon, so the work is tried again at short intervals."""


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


class Fault(Enum):
    """Whose fault an error is.

    Only an error that is `OURS` may be blamed on a record. After any other one, the same work is repeated, and nothing
    is skipped.
    """

    DEPENDENCY = "dependency"
    """A server is away or busy. It may answer later."""
    OPERATOR = "operator"
    """Only an operator can end it: a limit was lowered, or a right is missing."""
    OWNERSHIP = "ownership"
    """Another process owns the partition. Before the work is repeated, the partition has to be claimed again."""
    OURS = "ours"
    """The code does not handle this record, or is wrong. Repeating does not help."""


@singledispatch
def fault_of(error: BaseException) -> Fault:  # noqa: ARG001 - its type decides
    """Whose fault an error is. The modules that name a driver register the driver's errors here."""
    return Fault.OURS


for _kind, _fault in (
    (TransientFailure, Fault.DEPENDENCY),
    (NotYetAvailable, Fault.DEPENDENCY),
    (TimeoutError, Fault.DEPENDENCY),
    (ConnectionError, Fault.DEPENDENCY),
    # The results of accepted records fit into their topics unless an operator has lowered a limit.
    (RecordTooLarge, Fault.OPERATOR),
    (StartRefused, Fault.OPERATOR),
    (OwnershipLost, Fault.OWNERSHIP),
):
    fault_of.register(_kind, lambda _, fault=_fault: fault)


@singledispatch
def server_of(error: BaseException) -> str | None:  # noqa: ARG001 - its type decides
    """The name of the server that an error comes from. The modules that name a driver register its errors here."""
    return None


RETRY_CAUSES = ("kafka", "mongodb", *(fault.value for fault in Fault))
"""The values of `retry_cause`."""
_LONGEST_CHAIN = 10


def retry_cause(error: BaseException) -> str:
    """Why work is tried again, one of `RETRY_CAUSES`: the server that is away, or else whose fault the error is."""
    fault = fault_of(error)
    if fault is Fault.DEPENDENCY:
        cause: BaseException | None = error
        for _ in range(_LONGEST_CHAIN):
            if cause is None:
                break
            if server := server_of(cause):
                return server
            cause = cause.__cause__ or cause.__context__
    return fault.value
