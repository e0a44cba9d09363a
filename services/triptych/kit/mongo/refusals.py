"""Says in one line why MongoDB cannot be used at start, and whether waiting may help."""

import ssl
from typing import Any

from triptych.kit.failures import NotYetAvailable, StartRefused
from triptych.kit.process.tls import lasting_tls_error, tls_reason

STANDALONE = (
    "MongoDB runs as a standalone server, which has no transactions. Start it with --replSet rs0 and run "
    "rs.initiate() once; a replica set of one member is enough."
)
# Texts of the driver's errors.
_NO_MEMBER = "No replica set members available"  # all servers answer; none is in the set that the address names
_UNRESOLVED = "DNS"  # a mongodb+srv address cannot be looked up
_UNAUTHORIZED, _AUTHENTICATION_FAILED = 13, 18
_ATLAS_ERROR = 8000
_USER = "TRIPTYCH_MONGO_USERNAME and TRIPTYCH_MONGO_PASSWORD, or the user in TRIPTYCH_MONGO_URI"


def start_failure(error: Exception, *, is_transient: bool) -> StartRefused:
    """The failure that an error of the driver means for a starting process.

    Args:
        error: of the first request.
        is_transient: whether the driver's errors of this kind may be resolved by waiting.
    """
    # The text after the timeout differs at each try, and would make each try a new line in the log.
    words = str(error).partition(", Timeout:")[0]
    tls = tls_error_of(error)
    if tls is not None:
        return StartRefused(
            f"MongoDB cannot be reached by TLS (TRIPTYCH_MONGO_TLS_CA_FILE, or the options in TRIPTYCH_MONGO_URI): "
            f"{tls_reason(tls)}."
        )
    code = getattr(error, "code", None)
    if code in (_AUTHENTICATION_FAILED, _ATLAS_ERROR):
        return StartRefused(f"MongoDB refuses the user or the password ({_USER}).")
    if code == _UNAUTHORIZED:
        return StartRefused(f"MongoDB does not allow this user to use the database ({_USER}).")
    if _NO_MEMBER in words:
        return StartRefused(f"{words} (TRIPTYCH_MONGO_URI). {STANDALONE} Or its set has another name.")
    if is_transient or _UNRESOLVED in words:
        return NotYetAvailable(f"MongoDB does not answer (TRIPTYCH_MONGO_URI): {words}")
    return StartRefused(f"MongoDB refuses the connection (TRIPTYCH_MONGO_URI): {words}")


def tls_error_of(error: Any) -> ssl.SSLError | None:
    """The lasting TLS error of a server, if there is one: in the error, or in what the driver knows of the servers."""
    describe = getattr(getattr(error, "details", None), "server_descriptions", None)
    servers = describe().values() if describe is not None else ()
    for found in (error, *(server.error for server in servers if server.error is not None)):
        tls = lasting_tls_error(found)
        if tls is not None:
            return tls
    return None
