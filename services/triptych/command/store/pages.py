"""Reads pages of items for steps of jobs, bounded in bytes as well as in number."""

from collections.abc import AsyncIterable

import orjson

from triptych.command.domain.steps import STEP_BYTES
from triptych.command.store.documents import body_of
from triptych.kit.mongo.driver import Document


async def fill_page(found: AsyncIterable[Document], field: str) -> list[Document]:
    """The first of the found documents: at least one, and more up to STEP_BYTES of JSON in `field` together.

    `field` has an item's body in its stored form. The returned documents have it in wire form.
    """
    page: list[Document] = []
    size = 0
    async for document in found:
        document[field] = body_of(document[field])
        size += len(orjson.dumps(document[field]))
        if page and size > STEP_BYTES:
            break
        page.append(document)
    return page
