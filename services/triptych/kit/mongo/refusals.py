"""Says in one line why MongoDB cannot be used at start, and whether waiting may help."""

import re

from triptych.kit.failures import NotYetAvailable, StartRefused
from triptych.kit.process.tls import is_lasting_reason

STANDALONE = (
    "MongoDB runs as a standalone server, which has no transactions. Start it with --replSet rs0 and run "
    "rs.initiate() once; a replica set of one member is enough."
)
# Texts of the driver's errors.
_NO_MEMBER = "No replica set members available"  # all servers answer; none is in the set that the address names
_UNRESOLVED = "DNS"  # a mongodb+srv address cannot be looked up
_CUT_OFF = re.compile("connection (is already )?closed")
_TLS = re.compile(r"\[SSL: (\w+)\] ([^(]*[^(. ])")  # the driver removes the causes of its errors
_UNAUTHORIZED, _AUTHENTICATION_FAILED = 13, 18
_ATLAS_ERROR = 8000
_FILES = "TRIPTYCH_MONGO_TLS_CA_FILE, TRIPTYCH_MONGO_TLS_CERTIFICATE_FILE, or the options in TRIPTYCH_MONGO_URI"
_USER = "TRIPTYCH_MONGO_USERNAME and TRIPTYCH_MONGO_PASSWORD, or the user in TRIPTYCH_MONGO_URI"


def start_failure(error: Exception, *, is_transient: bool) -> StartRefused:
    """The failure that an error of the driver means for a starting process.

    Args:
        error: of the first request.
        is_transient: whether the driver's errors of this kind may be resolved by waiting.
    """
    # The text after the timeout differs at each try, and would make each try a new line in the log.
    words = str(error).partition(", Timeout:")[0].partition(" (configured timeouts")[0]
    tls = _TLS.search(words)
    if tls is not None and is_lasting_reason(tls[1]):
        server = words.partition(": [SSL")[0].rpartition(" ")[2]
        return StartRefused(f"MongoDB at {server} cannot be used by TLS: {tls[2]} ({_FILES}).")
    code = getattr(error, "code", None)
    if code in (_AUTHENTICATION_FAILED, _ATLAS_ERROR):
        return StartRefused(f"MongoDB refuses the user or the password ({_USER}).")
    if code == _UNAUTHORIZED:
        return StartRefused(f"MongoDB does not allow this user to use the database ({_USER}).")
    if _NO_MEMBER in words:
        return StartRefused(f"{words} (TRIPTYCH_MONGO_URI). {STANDALONE} Or its set has another name.")
    if is_transient and _CUT_OFF.search(words):
        # MongoDB gives no reason when it closes the connection of a client without the certificate that it asks for.
        words = _CUT_OFF.sub("connection closed", words)
        words += f". If this lasts, the server asks for TLS or for another certificate ({_FILES})."
    if is_transient or _UNRESOLVED in words:
        return NotYetAvailable(f"MongoDB does not answer (TRIPTYCH_MONGO_URI): {words}")
    return StartRefused(f"MongoDB refuses the connection (TRIPTYCH_MONGO_URI): {words}")
