"""The meaning of MongoDB's error codes for a client (server source: src/mongo/base/error_codes.yml)."""

DUPLICATE_KEY = 11000

# The server is unreachable, steps down, shuts down, starts, or is not the primary.
_AWAY = {6, 7, 89, 91, 189, 9001, 10058, 10107, 11600, 11602, 13435, 13436, 202, 279, 282, 384}
# An operation was interrupted: its session, cursor or query plan was killed, or the storage changed.
_INTERRUPTED = {11601, 43, 175, 237, 355}
# An operation took too long: a lock, a time limit, the write concern, a majority read that is not possible yet, a full
# queue.
_LATE = {24, 46, 50, 64, 100, 134, 262, 365}
# Another transaction conflicted, or the transaction no longer exists.
_CONTENDED = {112, 225, 244, 246, 239, 251, 267, 290}
# A router has outdated information about the cluster.
_STALE = {13388, 150, 249, 63, 133}
# User not found, unauthorised, authentication failed, authenticate again, disk full. An operator has to repair the
# server; no record is to blame.
BAD_SERVER_CODES = frozenset({11, 13, 18, 391, 14031})

TRANSIENT_CODES = frozenset(_AWAY | _INTERRUPTED | _LATE | _CONTENDED | _STALE | BAD_SERVER_CODES)
"""Codes after which the same operation may succeed when it is repeated."""

NAMESPACE_EXISTS = 48

# Another process builds an index of the collection or has aborted the build: conflicting operation in progress,
# background operation in progress (database, collection), index build aborted, index build already in progress.
BUILDING_CODES = frozenset({117, 12586, 12587, 276, 285})
INDEX_OPTIONS_CONFLICT = 85
"""Another process has built the index with another lifetime. The conflict lasts if more than the lifetime differs."""

DROPPED_CODES = frozenset({26, 175})
"""Namespace not found, query plan killed: the collection was dropped during a read."""
