"""Ids of sites, and ids that follow from a command, which its site, its source and its own id identify."""

import re
from hashlib import sha256
from uuid import UUID

SITE_ID_FORM = "1 to 64 letters, digits, _ or -"
_SITE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def is_site_id(text: str) -> bool:
    """Whether a site can have this id (contract, D22)."""
    return _SITE_ID.fullmatch(text) is not None


def derived_gallery_id(site_id: str, command_id: str, source: str | None = None) -> str:
    """The id of the gallery that a command creates.

    It follows from the command, so that a command repeated after the record of its outcome expired, or on another
    partition, meets the same id and cannot create a second gallery.
    """
    return _derived("gallery", site_id, command_id, *_named(source))


def derived_item_id(site_id: str, command_id: str, index: int, source: str | None = None) -> str:
    """The id of the item that a command creates at this position of its list; for the reason see above."""
    return _derived("item", site_id, command_id, str(index), *_named(source))


def _named(source: str | None) -> tuple[str, ...]:
    """A command without a source keeps the ids that it had when the source did not count."""
    return () if source is None else (source,)


def _derived(*parts: str) -> str:
    """A GUID of version 4 in form, from the SHA-256 of the parts, each preceded by its length."""
    # "surrogatepass": a total function, whatever text a caller has.
    joined = "".join(f"{len(part)}:{part}" for part in parts).encode(errors="surrogatepass")
    return str(UUID(bytes=sha256(joined).digest()[:16], version=4))
