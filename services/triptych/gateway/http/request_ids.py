"""Makes the ids of requests, which responses carry in a header (contract, section 1.3)."""

import uuid_utils

REQUEST_ID_HEADER = "X-Wix-Request-Id"


def new_request_id() -> str:
    """A new id; ids of later requests are greater."""
    return str(uuid_utils.uuid7())
