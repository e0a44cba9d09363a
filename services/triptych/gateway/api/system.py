"""The endpoint that says how the whole installation is, for operators."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from triptych.gateway.access.keys import Scope
from triptych.gateway.api.dependencies import operator_admitted
from triptych.gateway.api.system_models import SystemAnswer
from triptych.gateway.http.responses import JsonAnswer
from triptych.status.sharing import Shared

router = APIRouter(prefix="/v1", tags=["system"])

KEPT_SECONDS = 2.0
"""How long an answer is given to all who ask."""


async def _operator(request: Request) -> Shared[dict[str, Any]]:
    await operator_admitted(request, Scope.OPERATE)
    system: Shared[dict[str, Any]] = request.app.state.system
    return system


@router.get("/system", response_model=SystemAnswer)
async def get_system(system: Annotated[Shared[dict[str, Any]], Depends(_operator)]) -> Response:
    """Lag, outbox, jobs, deliveries, dead letters and processes of all sites; up to 2 s old."""
    return JsonAnswer({"system": await system.get()})
