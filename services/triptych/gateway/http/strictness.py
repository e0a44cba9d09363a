"""Keeps a request from doing more than was meant, because a part of it was misspelt or is not read there.

Reads ignore parameters that they do not know, as the contract does. Where something is deleted, moved or sent, such a
parameter may be what would have limited it, so it is refused.
"""

from itertools import islice

from starlette.requests import Request

from triptych.contract.base import ViolatedRule
from triptych.contract.replies import Violation
from triptych.contract.violations import FIELD_MAX, VIOLATIONS_MAX
from triptych.gateway.http.errors import InvalidRequest

REPEATED = ("galleryId", "itemId")
"""Ids of the path, which the official client repeats in the query (contract, section 2)."""


def refuse_unknown(request: Request, *known: str) -> None:
    """Let a request go on only if its query has no other parameters than those.

    Raises:
        Invalid: naming each of the others.
    """
    if not request.scope["query_string"]:
        return
    unknown = dict.fromkeys(name for name in request.query_params if name not in known)
    if unknown:
        raise InvalidRequest([_unknown(name) for name in islice(unknown, VIOLATIONS_MAX)])


async def refuse_body(request: Request) -> None:
    """Let a request go on only if it has no body.

    Raises:
        Invalid: it has one, of which not more than the beginning is read.
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
