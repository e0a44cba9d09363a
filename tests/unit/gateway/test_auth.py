"""Which requests are authorised, and for which site."""

import pytest

from triptych.gateway.access.auth import Caller, admit, admit_operator
from triptych.gateway.access.keys import ApiKey, Scope, hash_key, source_of
from triptych.gateway.http.errors import HttpFailure

ANY_SITE = ApiKey("k", None, frozenset({"read", "manage"}))
OWN_SITE = ApiKey("k", "site-1", frozenset({"read", "manage"}))
BAD_SITE = ApiKey("k", "bad site!!", frozenset({"read", "manage"}))
READ_ONLY = ApiKey("k", None, frozenset({"read"}))


@pytest.mark.parametrize(
    ("key", "named", "site"),
    [
        (ANY_SITE, None, "default"),
        (ANY_SITE, "site-2", "site-2"),
        (OWN_SITE, None, "site-1"),
        (OWN_SITE, "site-1", "site-1"),
    ],
)
def test_the_site_is_the_keys_own_or_else_the_one_named(key: ApiKey, named: str | None, site: str) -> None:
    assert admit(key, Scope.MANAGE, named) == Caller(site, source_of("k"))


@pytest.mark.parametrize(
    ("key", "needed", "named", "status"),
    [
        (None, Scope.READ, None, 401),
        (READ_ONLY, Scope.MANAGE, None, 403),
        (OWN_SITE, Scope.READ, "site-2", 403),
        (ANY_SITE, Scope.READ, "", 400),
        (ANY_SITE, Scope.READ, "a" * 65, 400),
        (ANY_SITE, Scope.READ, "../other", 400),
        (OWN_SITE, Scope.READ, "site 1", 400),
        (BAD_SITE, Scope.MANAGE, None, 403),  # no write of this site could be carried out
    ],
)
def test_requests_that_are_not_authorised(key: ApiKey | None, needed: Scope, named: str | None, status: int) -> None:
    with pytest.raises(HttpFailure) as caught:
        admit(key, needed, named)
    assert caught.value.status == status


def test_a_read_only_key_may_read() -> None:
    assert admit(READ_ONLY, Scope.READ, None) == Caller("default", source_of("k"))


def test_keys_are_hashed_with_sha_256() -> None:
    assert hash_key("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


OPERATOR = ApiKey("k", None, frozenset({"dead-letters"}))


def test_an_operator_is_about_no_site() -> None:
    assert admit_operator(OPERATOR, Scope.DEAD_LETTERS, None) == source_of("k")


@pytest.mark.parametrize(
    ("key", "named", "status"),
    [
        (None, None, 401),
        (ANY_SITE, None, 403),
        (OPERATOR, "site-2", 403),
        (OPERATOR, "", 403),
        (ApiKey("k", "site-1", frozenset(Scope)), None, 403),
        (ApiKey("k", "site-1", frozenset(Scope)), "site-1", 403),
    ],
)
def test_what_is_about_all_sites_is_for_operators(key: ApiKey | None, named: str | None, status: int) -> None:
    with pytest.raises(HttpFailure) as caught:
        admit_operator(key, Scope.DEAD_LETTERS, named)
    assert caught.value.status == status
