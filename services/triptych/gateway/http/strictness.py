"""Refuses unknown query parameters and unexpected bodies, where ignoring them could do more than the client meant.

Reads ignore unknown parameters, as the contract does. Where a request deletes, moves or sends something, an unknown
parameter may be a misspelt limit, so the request is refused.
"""

from itertools import islice

from starlette.requests import Request

from triptych.contract.base import ViolatedRule
from triptych.contract.replies import Violation
from triptych.contract.violations import FIELD_MAX, VIOLATIONS_MAX
from triptych.gateway.http.errors import InvalidRequest

REPEATED = ("galleryId", "itemId")
"""The official client repeats these ids of the path in the query (contract, section 2)."""


def refuse_unknown(request: Request, *known: str) -> None:
    """Refuse a request whose query has other parameters than these.

    Raises:
        InvalidRequest: with a violation for each unknown parameter.
    """
    if not request.scope["query_string"]:
        return
    unknown = dict.fromkeys(name for name in request.query_params if name not in known)
    if unknown:
        raise InvalidRequest([_unknown(name) for name in islice(unknown, VIOLATIONS_MAX)])


async def refuse_body(request: Request) -> None:
    """Refuse a request that has a body.

    Raises:
        InvalidRequest: the request has a body; only its first bytes are read.
    """
    async for chunk in request.stream():
        if chunk:
            raise InvalidRequest(
                [
                    Violation(
                        field="",
                        description="must be empty: ids of what to delete are not read from it",
                        violated_rule=ViolatedRule.MAX_SIZE,
                        data={"threshold": 0},
                    )
                ]
            )


def _unknown(name: str) -> Violation:
    return Violation(
        field=name[:FIELD_MAX], description="is not a parameter of this request", violated_rule=ViolatedRule.CUSTOM
    )
