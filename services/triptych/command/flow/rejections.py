"""Tells in the log which commands were rejected, in one line for each batch."""

import logging
from collections.abc import Sequence

from triptych.command.flow.reply_publisher import AddressedReply
from triptych.kit.attribution import about

log = logging.getLogger(__name__)

NAMED_MAX = 10
"""Commands that one line names."""


def report_rejected(answers: Sequence[AddressedReply]) -> None:
    """Log those answers that reject a command, if there are any: who sent it, and why it was rejected."""
    rejected = [answer for answer in answers if answer.reply.outcome == "rejected"]
    if not rejected:
        return
    named = [
        {
            "site": answer.site_id,
            "source": answer.source,
            "command": answer.reply.command_id,
            "code": answer.reply.error.code.value if answer.reply.error else None,
        }
        for answer in rejected[:NAMED_MAX]
    ]
    words = "; ".join(
        f"{one['code']} site={one['site']!r} source={one['source']!r} command={one['command']!r}" for one in named
    )
    more = f"; and {len(rejected) - len(named)} more" if len(rejected) > len(named) else ""
    log.info("rejected %d of %d commands: %s%s", len(rejected), len(answers), words, more, extra=about(rejected=named))
