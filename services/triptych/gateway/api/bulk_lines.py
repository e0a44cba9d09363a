"""The endpoint that creates items by the thousand, from lines of JSON; it is not part of the contract."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from triptych.gateway.api import examples
from triptych.gateway.api.dependencies import Gateway, Write
from triptych.gateway.api.parameters import GalleryId
from triptych.gateway.http.errors import not_found
from triptych.gateway.http.responses import WITH_BODY, WRITE, Responses, failures
from triptych.gateway.http.strictness import REPEATED, refuse_unknown
from triptych.gateway.lines.conversation import LinesResponse
from triptych.gateway.lines.reading import MEDIA_TYPES, ChunkReader

router = APIRouter(prefix="/v2/galleries/{galleryId}/items", tags=["beyond"])

_LINES = {"type": "string", "description": "One JSON object on each line."}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {MEDIA_TYPES[0]: {"schema": _LINES, "example": examples.ITEM_LINES}},
    }
}
_ANSWER: Responses = {
    200: {"description": "The result of each line, and a last line", "content": {MEDIA_TYPES[0]: {"schema": _LINES}}}
}


@router.post(
    "/bulk/lines",
    response_class=Response,
    responses={**_ANSWER, **WRITE, **WITH_BODY, **failures(404, 408)},
    openapi_extra=_BODY,
)
async def bulk_create_lines(write: Write, gateway: Gateway, gallery_id: GalleryId, request: Request) -> Response:
    """Create items by the thousand, one from each line, shown in the order of the lines after the older ones.

    The body and the response are streams. Each line has a result of its own; a line that is refused does not prevent
    the others. The last line of the response says how many items were created, and whether all lines were read.
    """
    refuse_unknown(request, *REPEATED)
    reader = ChunkReader(request, gateway.settings)
    is_there = await gateway.views.get_gallery(write.site_id, gallery_id, 1, 0) is not None
    # A gallery that was created a moment ago is in the write model only.
    if not is_there and not await gateway.unshown.has_gallery(write.site_id, gallery_id):
        raise not_found("gallery", galleryId=gallery_id)
    return LinesResponse(reader, gateway.line_slots, gateway.writes, write, gallery_id)
