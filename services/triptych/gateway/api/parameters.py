"""Parameters of requests: ids in the path, pages in the query (contract, section 2.1), and the idempotency key."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self, TypeAlias

from fastapi import Path
from fastapi.openapi.models import Example
from pydantic import Field, model_validator

from triptych.contract.base import Guid, ViolatedRule, WireModel, broken
from triptych.gateway.api import examples
from triptych.gateway.http.errors import bad_header
from triptych.readmodel.cursors import InvalidCursor, read_cursor
from triptych.readmodel.gallery_lists import read_gallery_cursor

IDEMPOTENCY_HEADER = "Idempotency-Key"
# A command id may have 255 characters. The commands of one bulk request append a number to the key.
_ID_MAX = 250


def _demo(value: str) -> dict[str, Example]:
    return {"demo": {"value": value}}


GalleryId: TypeAlias = Annotated[Guid, Path(alias="galleryId", openapi_examples=_demo(examples.GALLERY_ID))]
ItemId: TypeAlias = Annotated[Guid, Path(alias="itemId", openapi_examples=_demo(examples.ITEM_IDS[0]))]

Offset: TypeAlias = Annotated[int, Field(ge=0, le=2**31 - 1)]


class GalleriesPageQuery(WireModel):
    """Which galleries to list."""

    limit: Annotated[int, Field(ge=1, le=10)] = 10
    offset: Offset = 0
    item_limit: Annotated[int, Field(ge=1, le=100)] = 10


class GalleriesQuery(GalleriesPageQuery):
    """Which galleries to list; `name` and `cursor` are not part of the contract.

    With a name, the galleries whose name begins with it, without regard to case and accents, by name. With a cursor,
    which is empty for the first page, the response has the cursor of the next page.
    """

    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    cursor: Annotated[str, Field(max_length=8_000)] | None = None

    @model_validator(mode="after")
    def _check_paging(self) -> Self:
        _check_cursor(self.cursor, "offset", self.offset)
        if self.cursor:
            try:
                read_gallery_cursor(self.cursor, is_search=self.name is not None)
            except InvalidCursor:
                raise _not_a_cursor() from None
        return self


class ItemsPageQuery(WireModel):
    """Which items of a gallery to show."""

    item_limit: Annotated[int, Field(ge=1, le=200)] = 50
    item_offset: Offset = 0


class ItemsQuery(ItemsPageQuery):
    """Which items of a gallery to list; `cursor`, `type` and `tag` are not part of the contract.

    With a cursor, which is empty for the first page, the response has the cursor of the next page.
    """

    cursor: Annotated[str, Field(max_length=100)] | None = None
    type: Literal["IMAGE", "VIDEO", "TEXT"] | None = None
    tag: Annotated[str, Field(min_length=1, max_length=200)] | None = None

    @model_validator(mode="after")
    def _check_paging(self) -> Self:
        _check_cursor(self.cursor, "itemOffset", self.item_offset)
        if self.cursor:
            try:
                read_cursor(self.cursor)
            except InvalidCursor:
                raise _not_a_cursor() from None
        return self


def _check_cursor(cursor: str | None, name: str, offset: int) -> None:
    if cursor is not None and offset:
        raise broken(ViolatedRule.CUSTOM, "must be absent when a cursor is given", field=name)


def _not_a_cursor() -> Exception:
    expected = "the nextCursor of a page"
    return broken(ViolatedRule.FORMAT, f"must be {expected}", field="cursor", data={"expected": expected})


def check_idempotency_key(keys: Sequence[str]) -> str:
    """The key of a request that has the header one or more times.

    Raises:
        InvalidRequest: the key cannot be a command id, or there are several keys.
    """
    key = keys[0]
    if not (len(keys) == 1 and 0 < len(key) <= _ID_MAX and key.isascii() and key.isprintable()):
        raise bad_header(IDEMPOTENCY_HEADER, f"one key of 1 to {_ID_MAX} printable ASCII characters")
    return key
