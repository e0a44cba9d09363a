"""Log lines name who caused them, in text and in JSON."""

import logging
from dataclasses import dataclass, field

import orjson
import pytest

from triptych.kit.attribution import TextFormatter, about, sender_of
from triptych.kit.process.telemetry import JsonFormatter


@dataclass
class Sent:
    """A record of a topic."""

    value: bytes | None = b"{}"
    headers: list[tuple[str, bytes]] = field(default_factory=list)


SENDER = about(site="s", source="/shop", command="c-1")
BODY = orjson.dumps({"specversion": "1.0", "id": "c-1", "siteid": "s", "source": "/shop", "data": {"x": "y" * 50_000}})


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (Sent(headers=[("ce_id", b"c-1"), ("CE_SiteId", b"s"), ("ce_source", b"/shop"), ("ce_other", b"x")]), SENDER),
        (Sent(BODY), SENDER),
        (Sent(b"{broken"), about()),
        (Sent(None), about()),
        (Sent(b"\xff\x00"), about()),
        (Sent(b'{"id": 7, "source": null}'), about()),
        (Sent(headers=[("id", b"x"), ("ce_source", b"\xff")]), about(source="\N{REPLACEMENT CHARACTER}")),
    ],
)
def test_the_sender_of_a_record_is_named_as_far_as_it_can_be_read(sent: Sent, expected: dict[str, object]) -> None:
    assert sender_of(sent) == expected


def line(formatter: logging.Formatter, **fields: object) -> str:
    logger = logging.getLogger("test")
    made = logger.makeRecord("test", logging.INFO, "", 0, "rejected", (), None, extra=about(**fields))
    return formatter.format(made)


def test_lines_name_the_sender_and_cannot_be_forged() -> None:
    written = orjson.loads(line(JsonFormatter(), site="s", source="a\nb"))
    assert (written["site"], written["source"]) == ("s", "a\nb")
    text = line(TextFormatter("%(message)s"), site="s", source="a\nb", command=None)
    assert text == r"rejected  [site='s' source='a\nb']"
