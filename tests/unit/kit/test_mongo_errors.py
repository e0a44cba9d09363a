"""Which errors of the driver make the failed work repeat."""

import pytest
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    CollectionInvalid,
    ConfigurationError,
    CursorNotFound,
    DuplicateKeyError,
    ExecutionTimeout,
    InvalidOperation,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WriteConcernError,
    WriteError,
    WTimeoutError,
)

from triptych.kit.mongo.driver import is_transient


def bulk(kind: str, code: int) -> BulkWriteError:
    return BulkWriteError({"writeErrors": [], "writeConcernErrors": [], kind: [{"index": 0, "code": code}]})


def labelled(label: str) -> PyMongoError:
    return OperationFailure("x", 8000, {"errorLabels": [label]})


TRANSIENT = {
    "connection": AutoReconnect("x"),
    "time-out": NetworkTimeout("x"),
    "step-down": NotPrimaryError("x"),
    "no primary": ServerSelectionTimeoutError("x"),
    "no connection free": WaitQueueTimeoutError("x"),
    "interrupted": OperationFailure("x", 11601),
    "cursor killed": OperationFailure("x", 237),
    "cursor gone": CursorNotFound("x", 43),
    "plan killed": OperationFailure("x", 175),
    "no such transaction": OperationFailure("x", 251),
    "transaction too old": OperationFailure("x", 225),
    "transaction lived too long": OperationFailure("x", 290),
    "write conflict": OperationFailure("x", 112),
    "time limit": ExecutionTimeout("x", 50),
    "write concern": WTimeoutError("x", 64),
    "step-down while waiting for a majority": WriteConcernError("x", 11602),
    "too few members": WriteConcernError("x", 100),
    "interrupted in a bulk": bulk("writeErrors", 11601),
    "write concern of a bulk": bulk("writeConcernErrors", 64),
    "shutdown after a bulk": bulk("writeConcernErrors", 91),
    "disk full": OperationFailure("x", 14031),
    "transient transaction": labelled("TransientTransactionError"),
    "unknown commit": labelled("UnknownTransactionCommitResult"),
    "retryable": labelled("RetryableWriteError"),
    "closed by this process": InvalidOperation("Cannot use AsyncMongoClient after close"),
}
PERMANENT = {
    "duplicate key": DuplicateKeyError("x", 11000),
    "duplicate key in a bulk": bulk("writeErrors", 11000),
    "bad value": WriteError("x", 2),
    "document too large": OperationFailure("x", 10334),
    "validation": bulk("writeErrors", 121),
    "our own misuse": InvalidOperation("No transaction started"),
    "configuration": ConfigurationError("x"),
    "collection": CollectionInvalid("x"),
    "not the driver's": ValueError("x"),
}


@pytest.mark.parametrize("error", TRANSIENT.values(), ids=TRANSIENT)
def test_work_is_repeated_after(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize("error", PERMANENT.values(), ids=PERMANENT)
def test_work_is_not_repeated_after(error: Exception) -> None:
    assert not is_transient(error)
