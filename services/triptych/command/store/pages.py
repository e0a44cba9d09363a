"""Pages of items for steps of long work: bounded in bytes as well as in number."""

from collections.abc import AsyncIterable

import orjson

from triptych.command.domain.steps import STEP_BYTES
from triptych.command.store.documents import body_of
from triptych.kit.mongo.driver import Document


async def fill_page(found: AsyncIterable[Document], field: str) -> list[Document]:
    """The first of these documents: one, and more up to STEP_BYTES of JSON in `field` together.

    `field` is an item's body as it is stored, and its wire form in the documents that are given back.
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
