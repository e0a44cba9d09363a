"""Ids of sites, and the ids that are derived from a command's identity: its site, source and command id."""

import re
from hashlib import sha256
from uuid import UUID

SITE_ID_FORM = "1 to 64 letters, digits, _ or -"
_SITE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def is_site_id(text: str) -> bool:
    """Whether this is a valid site id (contract, D22)."""
    return _SITE_ID.fullmatch(text) is not None


def derived_gallery_id(site_id: str, command_id: str, source: str | None = None) -> str:
    """The id of the gallery that a command creates.

    The id is derived from the command's identity. A command that is repeated on another partition, or after its stored
    outcome has expired, therefore has the same id and cannot create a second gallery.
    """
    return _derived("gallery", site_id, command_id, *_named(source))


def derived_item_id(site_id: str, command_id: str, index: int, source: str | None = None) -> str:
    """The id of the item that a command creates from this index of its list (reason: see `derived_gallery_id`)."""
    return _derived("item", site_id, command_id, str(index), *_named(source))


def _named(source: str | None) -> tuple[str, ...]:
    """The source as an input; none for a command without a source, whose ids stay as in versions without sources."""
    return () if source is None else (source,)


def _derived(*inputs: str) -> str:
    """A GUID in the form of version 4, from the SHA-256 of the inputs, each preceded by its length."""
    # "surrogatepass" makes the function total: every text can be encoded.
    joined = "".join(f"{len(text)}:{text}" for text in inputs).encode(errors="surrogatepass")
    return str(UUID(bytes=sha256(joined).digest()[:16], version=4))
