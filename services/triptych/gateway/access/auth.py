"""Decides who sends a request, for which site, and whether it is allowed (contract, sections 1.2, 1.5 and D22)."""

from dataclasses import dataclass

from triptych.contract.codec.envelope import DEFAULT_SITE_ID
from triptych.contract.identity import SITE_ID_FORM, is_site_id
from triptych.gateway.access.keys import ApiKey, Scope, source_of
from triptych.gateway.http.errors import ApplicationFailure, bad_header

KEY_HEADER = "Authorization"
SITE_HEADER = "wix-site-id"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated client; all its reads and writes are limited to this site."""

    site_id: str
    source: str = ""
    """The source of its commands. Command ids of different keys are therefore independent."""


def admit(key: ApiKey | None, needed: Scope, named_site: str | None) -> Caller:
    """Authorise a request.

    Args:
        key: the stored key of the request; None if the request has no key or an unknown one.
        needed: the scope that the request needs.
        named_site: the value of its `wix-site-id` header.

    Raises:
        ApplicationFailure: 401 without a key; 403 for a key without the scope, or of another site.
        InvalidRequest: the header is not a site id.
    """
    return _caller(_with_scope(key, needed), named_site)


def admit_any(key: ApiKey | None, named_site: str | None) -> ApiKey:
    """Authorise a request that needs no scope; the result is its key. Raises like `admit`."""
    key = _valid(key)
    _caller(key, named_site)
    return key


def _caller(key: ApiKey, named_site: str | None) -> Caller:
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


def admit_operator(key: ApiKey | None, needed: Scope, named_site: str | None) -> str:
    """Authorise a request that is about all sites; the result is the source of the key.

    A request that names a site is refused too: whoever limits clients to a site by that header must be able to rely on
    it.

    Raises:
        ApplicationFailure: 401 without a key; 403 for a key without the scope or of a site, or if a site is named.
    """
    key = _with_scope(key, needed)
    if key.site_id is not None or named_site is not None:
        text = f"{needed} is about all sites: use an API key of no site, without {SITE_HEADER}"
        raise ApplicationFailure(403, "PERMISSION_DENIED", text)
    return source_of(key.key_id)


def _with_scope(key: ApiKey | None, needed: Scope) -> ApiKey:
    key = _valid(key)
    if needed not in key.scopes:
        raise ApplicationFailure(403, "PERMISSION_DENIED", f"the API key does not allow to {needed}")
    return key


def _valid(key: ApiKey | None) -> ApiKey:
    if key is None:
        raise ApplicationFailure(401, "UNAUTHENTICATED", "no valid API key", headers={"WWW-Authenticate": "ApiKey"})
    return key
