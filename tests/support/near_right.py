"""Nearly right values of parameters and headers: right values with small changes, and values known to cause trouble.

They are bytes, since some of them are not valid text.
"""

import struct
from base64 import urlsafe_b64encode
from collections.abc import Sequence

from triptych.readmodel.cursors import write_cursor

_ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
# More digits than Python converts to a number by default.
_LONG = 5_000
GUID = "0198c0de-0000-7000-8000-000000000000"
"""An id that does not exist."""

NUMBERS = ("0", "-1", "-0", "1.0", "1.5", "1e1", "1e999", "1_0", "0x1", "²", f"{2**31}", f"{2**63}", "NaN")
GUIDS = (GUID, f"{{{GUID}}}", GUID.replace("-", ""), f"urn:uuid:{GUID}", "null")
ITEM_CURSORS = (
    *(write_cursor(sort_order) for sort_order in (float("inf"), float("-inf"), float("nan"), -0.0, 5e-324, 1.7e308)),
    urlsafe_b64encode(struct.pack(">Bd", 2, 1.0)).decode(),
    *(
        urlsafe_b64encode(struct.pack(">Bdq", 3, sort_order, sequence)).decode()
        for sort_order, sequence in ((float("inf"), 1), (float("nan"), 1), (1.0, -1), (1.7e308, 2**63 - 1))
    ),
    *(urlsafe_b64encode(json).decode() for json in (b"null", b"[1e999]", b'{"sortOrder":{"$gt":""}}', b'"\xff"')),
    "====",
    "AAAA*AAA",
)
GALLERY_CURSORS = (
    *(
        urlsafe_b64encode(json).decode()
        for json in (
            b'[1,1e999,"x"]',
            b'[1,9223372036854775807,"x"]',
            b'[1,-9223372036854775808,"x"]',
            b'[1,true,"x"]',
            b'[1,"a","x"]',
            b'[1,{"$gt":""},"x"]',
            b"[1,0,null]",
            b"[2,0,0]",
            b"[1,0]",
            b"{}",
            b"null",
            b'"\xff"',
        )
    ),
    "====",
)
PLACES = ("0--1", "-1-0", "99999999999-0", f"0-{2**63}", "0", "-", "a-b", "0-0-0", "²-0")
HISTORY_CURSORS = (
    *(urlsafe_b64encode(struct.pack(">Bq", 2, sequence)).decode() for sequence in (0, -1, 2**63 - 1)),
    urlsafe_b64encode(struct.pack(">Bdq", 3, 1.0, 2)).decode(),
    "====",
)
MOMENTS = (
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+00:00",
    "9999-12-31T23:59:59.999999+00:00",
    "2026-02-30T00:00:00+00:00",
    "2026-01-01T24:00:00+00:00",
    "2026-01-01T00:00:60+00:00",
    "2026-01-01T00:00:00",
    "2026-01-01T00:00:00Z",
    "2026-W01-1T00:00:00+00:00",
    "20260101T000000+0000",
    "-0001-01-01T00:00:00+00:00",
    "1e999",
    "1767225600",
)
EVENT_CURSORS = tuple(f"{moment}|{event_id}" for moment in MOMENTS for event_id in ("x", GUID))
TAGS = (
    "*",
    "*, *",
    '"',
    '""',
    'W/"1"',
    'w/"1"',
    '"1',
    "1",
    '"1" "2"',
    '"1", *',
    ',,"1",,',
    '"-1"',
    '"01"',
    f'"{2**63 - 1}"',
    f'"{2**63}"',
    '"%s"' % ("9" * 19),
    '"%s"' % ("9" * _LONG),
    '"1-0123456789abcdef"',
    '"1-0123456789ABCDEF"',
    ",".join(f'"{number}"' for number in range(101)),
)
POSITIONS = (
    f"{GUID}:0",
    f"{GUID}:{'9' * 18}",
    f"{GUID}:{'9' * 19}",
    f"{GUID}:{'9' * _LONG}",
    f"{GUID}:-1",
    f"{GUID}:+1",
    f"{GUID}:1.0",
    f"{GUID}:",
    ":1",
    f"{GUID}",
    f" {GUID}:1 , {GUID}:2",
    ",".join(["x"] * 9),
    "," * 100,
)
STREAM_POSITIONS = (
    "0:0",
    "0:0,0:1",
    "2:0,1:0,0:0",
    "0:0,1:0,2:0,3:0",
    "999999:0",
    "1000000:0",
    f"0:{'9' * 18},1:{'9' * 18},2:{'9' * 18}",
    f"0:{'9' * 19}",
    f"0:{2**63},1:0,2:0",
    f"{'9' * _LONG}:0",
    "0:-1",
    "0:",
    "0",
    "0:0,",
    "0:0;1:0",
)
KAFKA_POSITIONS = (
    "t-0@0",
    "-0@0",
    "t-0@-1",
    "t-+1@0",
    f"t-{2**31}@0",
    f"t-0@{2**63 - 1}",
    f"t-0@{2**63}",
    f"{'t' * 250}-0@0",
    "t/u-0@0",
)
STEP_CURSORS = (
    *(f"0~{position}" for position in KAFKA_POSITIONS),
    "253402300799999~t-0@0",
    "253402300800000~t-0@0",
    "-1~t-0@0",
    "~t-0@0",
    "0~",
)
KEYS = ("k" * 250, "k" * 251, "k k", "k\x7f", "\u00e9", '"k"', "k/0")
TRACES = (
    f"00-{'0' * 32}-00f067aa0ba902b7-01",
    f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
    "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
)
STATES = ("=", "a=", "=1", "a=1,a=2", ",".join(f"a{number}=1" for number in range(33)), f"a={'1' * 257}", "a b=1")


def near(right: str, odd: Sequence[str] = ()) -> list[bytes]:
    """The right value, then its mutations, then the `odd` values of its kind, without repeats."""
    encoded = right.encode()
    middle = len(encoded) // 2
    mutations = (
        b"",
        encoded[:-1],
        encoded[1:],
        encoded[:middle],
        encoded + encoded,
        encoded + b"," + encoded,
        b"-" + encoded,
        b"+" + encoded,
        right.swapcase().encode(),
        right.translate(_ARABIC).encode(),
        right.translate(_FULL_WIDTH).encode(),
        b"".join(b"9" if byte in b"0123456789" else bytes([byte]) for byte in encoded),
        b" " + encoded + b" ",
        encoded + b"\n",
        encoded + b"\0",
        encoded[:middle] + b"\0" + encoded[middle:],
        encoded[:middle] + b"\xff" + encoded[middle:],
        encoded + "\U0001f4a5".encode(),
        (encoded * _LONG)[:_LONG],
        b"9" * _LONG,
    )
    return list(dict.fromkeys((encoded, *mutations, *(one.encode() for one in odd))))


def in_header(value: bytes) -> bytes:
    """The value in a form that a header field allows: no line ends, NUL or outer space (RFC 9110, section 5.5)."""
    return value.replace(b"\0", b"%00").replace(b"\n", b"%0A").strip()
