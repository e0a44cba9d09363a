"""The gateway's OpenAPI document, made once for all gateways of a process: it is half the work of a start."""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from triptych.gateway.api.openapi import complete_openapi

_MADE: list[dict[str, Any]] = []


@contextmanager
def one_document() -> Iterator[None]:
    """A gateway that is made in the block has the document of the first one; it depends on no setting."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("triptych.gateway.app.complete_openapi", _complete_once)
        yield


@asynccontextmanager
async def documented_once() -> AsyncIterator[None]:
    """`one_document`, for `async with`."""
    with one_document():
        yield


def _complete_once(app: FastAPI, bodies: Iterable[type[BaseModel]]) -> None:
    if not _MADE:
        complete_openapi(app, bodies)
        _MADE.append(app.openapi())
    app.openapi = lambda: _MADE[0]  # type: ignore[method-assign]
