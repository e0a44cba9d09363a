"""Finds the options of a MongoDB address that would weaken a promise of the services, and says what to do."""

import re
from collections.abc import Callable, Mapping
from urllib.parse import unquote_plus

SOCKET_SECONDS = (10, 60)
"""The range of `socketTimeoutMS`: longer than a commit may take, shorter than a recovery may take."""

_LOSES = "which can lose acknowledged commands. Remove it, or set "
_STALE = "with which commands are decided from outdated members. Remove it"
_OWN_DEADLINES = "but the services set deadlines of their own, and it would end writes at any moment. Remove it"

NOT_ENCODED = (
    "TRIPTYCH_MONGO_URI has a user or a password that is not percent-encoded. Encode it, or set "
    "TRIPTYCH_MONGO_USERNAME and TRIPTYCH_MONGO_PASSWORD instead."
)
_SHOWN = ("replicaset", "directconnection", "tls", "ssl", "authsource", "authmechanism")


def _other_than(*allowed: str) -> Callable[[str], bool]:
    return lambda value: value.lower() not in allowed


def _is_no_socket_timeout(value: str) -> bool:
    shortest, longest = SOCKET_SECONDS
    return not (value.isdigit() and shortest * 1_000 <= int(value) <= longest * 1_000)


_RULES: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "w": (_other_than("majority"), f"{_LOSES}w=majority."),
    "journal": (_other_than("true"), f"{_LOSES}journal=true."),
    "j": (_other_than("true"), f"{_LOSES}journal=true."),
    "fsync": (_other_than("true"), f"{_LOSES}journal=true."),
    "wtimeoutms": (_other_than(), f"{_OWN_DEADLINES}."),
    "wtimeout": (_other_than(), f"{_OWN_DEADLINES}."),
    "timeoutms": (_other_than(), f"{_OWN_DEADLINES}."),
    "readpreference": (_other_than("primary"), f"{_STALE}, or set readPreference=primary."),
    "readpreferencetags": (_other_than(""), f"{_STALE}."),
    "maxstalenessseconds": (_other_than("-1"), f"{_STALE}."),
    "readconcernlevel": (
        _other_than("majority"),
        "with which what is read may be undone. Remove it, or set readConcernLevel=majority.",
    ),
    "retrywrites": (
        _other_than("true"),
        "with which every election makes writes fail. Remove it, or set retryWrites=true.",
    ),
    "retryreads": (
        _other_than("true"),
        "with which every election makes reads fail. Remove it, or set retryReads=true.",
    ),
    "sockettimeoutms": (
        _is_no_socket_timeout,
        "with which a slow commit counts as lost, or a silent server is not noticed. Remove it, or choose "
        f"{SOCKET_SECONDS[0] * 1_000} to {SOCKET_SECONDS[1] * 1_000}.",
    ),
    **dict.fromkeys(
        ("tlsinsecure", "tlsallowinvalidcertificates", "tlsallowinvalidhostnames"),
        (_other_than("false"), "with which anybody can pose as the server. Remove it, and set the authority's file."),
    ),
    "unicode_decode_error_handler": (
        _other_than("strict"),
        "with which text is read otherwise than it was written. Remove it.",
    ),
}


def options_of(uri: str) -> list[tuple[str, str]]:
    """The options of an address as they are spelt, in order. An option may occur more than once."""
    pairs = (option.partition("=") for option in re.split("[&;]", uri.partition("?")[2]) if option)
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in pairs]


def weaknesses(uri: str) -> list[str]:
    """A sentence for each option that weakens a promise. It shows the option's value and nothing else of `uri`."""
    found = []
    for name, value in options_of(uri):
        is_wrong, consequence = _RULES.get(name.lower(), (_other_than(value.lower()), ""))
        if is_wrong(value):
            found.append(f"{name}={value}, {consequence}")
    return found


def has_user(uri: str) -> bool:
    """Whether the address has a user, and perhaps a password."""
    return "@" in _authority(uri)


def has_bare_secret(uri: str) -> bool:
    """Whether a password with a bare `/` has ended the list of hosts: its beginning would be shown as a port."""
    return "@" in uri.partition("://")[2].partition("?")[0].removeprefix(_authority(uri))


def without_user(uri: str) -> str:
    """The address to show: without user, password and options, among which may be the password of a key."""
    scheme, _, rest = uri.partition("://")
    authority = _authority(uri)
    names = "&".join(f"{name}={value}" for name, value in options_of(uri) if name.lower() in _SHOWN)
    path = re.split(r"[?]", rest.removeprefix(authority), maxsplit=1)[0]
    return f"{scheme}://{authority.rpartition('@')[2]}{path}{'?' if names else ''}{names}"


def _authority(uri: str) -> str:
    return re.split(r"[/?]", uri.partition("://")[2], maxsplit=1)[0]


def is_direct(uri: str) -> bool:
    """Whether the address limits the client to the one server that it names."""
    return any(name.lower() == "directconnection" and value.lower() == "true" for name, value in options_of(uri))
