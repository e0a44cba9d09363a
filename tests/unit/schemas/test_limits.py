"""Everything made from an accepted command or event fits into its topic."""

import orjson
import pytest

from triptych.contract.codec.cloudevents import Undecodable
from triptych.contract.codec.envelope import InvalidCommand, decode_command
from triptych.contract.codec.events import decode_event
from triptych.contract.commands import COMMANDS
from triptych.contract.limits import EVENT_BYTES_MAX
from triptych.contract.replies import Reply, ReplyError
from triptych.contract.snapshots import decode_snapshot

GALLERY = "10000000-0000-4000-8000-000000000000"
REPLY_BYTES_MAX = 256 * 1024


def test_a_reply_stays_small_whatever_the_names_in_its_command() -> None:
    assert COMMANDS
    css = {"k" * 300_000: 1}
    items = [{"text": {"html": "x", "css": css}} for _ in range(20)]
    data = {"galleryId": GALLERY, "items": items}
    event = {"specversion": "1.0", "id": "c", "type": "triptych.command.v1.CreateItems", "data": data}
    with pytest.raises(InvalidCommand) as refused:
        decode_command(orjson.dumps(event), ())
    error = ReplyError(
        code="INVALID_ARGUMENT",
        message=str(refused.value),
        violations=refused.value.violations,
    )
    reply = Reply(command_id="c", outcome="rejected", error=error)
    assert len(refused.value.violations) == 20
    assert len(reply.to_json()) < REPLY_BYTES_MAX


@pytest.mark.parametrize("decode", [decode_event, decode_snapshot])
def test_an_event_larger_than_any_command_can_cause_is_refused(decode: object) -> None:
    with pytest.raises(Undecodable, match="TOO_LARGE"):
        decode(b" " * EVENT_BYTES_MAX + b"{}")  # type: ignore[operator]
