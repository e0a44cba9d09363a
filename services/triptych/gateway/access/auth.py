"""Who is asking, for which site, and whether they may (contract, sections 1.2, 1.5 and D22)."""

from dataclasses import dataclass

from triptych.contract.codec.envelope import DEFAULT_SITE_ID
from triptych.contract.identity import SITE_ID_FORM, is_site_id
from triptych.gateway.access.keys import ApiKey, Scope
from triptych.gateway.http.errors import ApplicationFailure, bad_header

KEY_HEADER = "Authorization"
SITE_HEADER = "wix-site-id"
KEY_ID_SHOWN = 16
"""Characters of a key's id in a source: enough to tell keys apart, and no use to anybody."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A client that was let in; everything it sees and does is limited to this site."""

    site_id: str
    source: str = ""
    """What its commands carry as their source: each key has ids of its own."""


def admit(key: ApiKey | None, needed: Scope, named_site: str | None) -> Caller:
    """Let a request in.

    Args:
        key: what the request's key stands for; None if it has none or a wrong one.
        needed: what the request is going to do.
        named_site: the value of its `wix-site-id` header.

    Raises:
        Refused: 401 without a key, 403 for a key that does not allow this, or not on that site.
        Invalid: the site's id is not one.
    """
    if key is None:
        raise ApplicationFailure(401, "UNAUTHENTICATED", "no valid API key", headers={"WWW-Authenticate": "ApiKey"})
    if needed not in key.scopes:
        raise ApplicationFailure(403, "PERMISSION_DENIED", f"the API key does not allow to {needed}")
    if named_site is not None and not is_site_id(named_site):
        raise bad_header(SITE_HEADER, SITE_ID_FORM)
    if key.site_id is None:
        return Caller(named_site or DEFAULT_SITE_ID, source_of(key.key_id))
    if named_site not in (None, key.site_id):
        raise ApplicationFailure(403, "PERMISSION_DENIED", "the API key belongs to another site")
    if not is_site_id(key.site_id):  # no command of this site would be accepted
        raise ApplicationFailure(
            403, "PERMISSION_DENIED", f"the API key belongs to a site whose id is not {SITE_ID_FORM}"
        )
    return Caller(key.site_id, source_of(key.key_id))


def source_of(key_id: str) -> str:
    """The source of the commands of a key."""
    return f"triptych/gateway/{key_id[:KEY_ID_SHOWN]}"
