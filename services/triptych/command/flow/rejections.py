"""Logs which commands were rejected, in one line for each batch."""

import logging
from collections.abc import Sequence

from triptych.command.flow.reply_publisher import AddressedReply
from triptych.kit.attribution import about

log = logging.getLogger(__name__)

NAMED_MAX = 10
"""The largest number of commands that one line names."""


def report_rejected(replies: Sequence[AddressedReply]) -> None:
    """Log the replies that reject a command, if any: who sent the command, and why it was rejected."""
    rejected = [addressed for addressed in replies if addressed.reply.outcome == "rejected"]
    if not rejected:
        return
    named = [
        {
            "site": addressed.site_id,
            "source": addressed.source,
            "command": addressed.reply.command_id,
            "code": addressed.reply.error.code.value if addressed.reply.error else None,
        }
        for addressed in rejected[:NAMED_MAX]
    ]
    words = "; ".join(
        f"{one['code']} site={one['site']!r} source={one['source']!r} command={one['command']!r}" for one in named
    )
    more = f"; and {len(rejected) - len(named)} more" if len(rejected) > len(named) else ""
    log.info("rejected %d of %d commands: %s%s", len(rejected), len(replies), words, more, extra=about(rejected=named))
