"""What the error codes of a MongoDB server mean for whoever asked (server source: src/mongo/base/error_codes.yml)."""

DUPLICATE_KEY = 11000

# The server is not reached, steps down, shuts down, starts, or is not the primary.
_AWAY = {6, 7, 89, 91, 189, 9001, 10058, 10107, 11600, 11602, 13435, 13436, 202, 279, 282, 384}
# An operation was ended by somebody: a session or a cursor that was killed, a plan, a storage change.
_INTERRUPTED = {11601, 43, 175, 237, 355}
# It took too long: a lock, a time limit, the write concern, a majority that cannot be read yet, a full queue.
_LATE = {24, 46, 50, 64, 100, 134, 262, 365}
# Another transaction was in the way, or the transaction is not there any more.
_CONTENDED = {112, 225, 244, 246, 239, 251, 267, 290}
# A router knows the cluster as it was.
_STALE = {13388, 150, 249, 63, 133}
# User not found, unauthorised, authentication failed, authenticate again, disk full: somebody has to mend the server,
# not the record.
BAD_SERVER_CODES = frozenset({11, 13, 18, 391, 14031})

TRANSIENT_CODES = frozenset(_AWAY | _INTERRUPTED | _LATE | _CONTENDED | _STALE | BAD_SERVER_CODES)
"""The same operation may succeed when repeated."""

NAMESPACE_EXISTS = 48

# Others build an index of the collection, have built it with another lifetime, or have given up building it:
# conflicting operation in progress, background operation in progress (database, collection), index build aborted,
# index build already in progress; index options conflict, which lasts if more than the lifetime differs.
BUILDING_CODES = frozenset({117, 12586, 12587, 276, 285})
INDEX_OPTIONS_CONFLICT = 85

DROPPED_CODES = frozenset({26, 175})
"""Namespace not found, query plan killed: the collection was dropped while it was read."""
