"""Says in words why bytes are no JSON text, and where."""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE

# Of the two beginnings of UTF-16, which some editors and shells write.
_BEGINNINGS = {
    BOM_UTF8: "it begins with a byte order mark, which JSON does not allow",
    BOM_UTF16_LE: "it is UTF-16, and JSON is UTF-8",
    BOM_UTF16_BE: "it is UTF-16, and JSON is UTF-8",
}


def why_not_json(text: bytes | bytearray | str, parser_error: str) -> str:
    """The cause with its place: `trailing characters at line 1 column 4`.

    Args:
        text: what was refused.
        parser_error: what the parser says about it. Of wrong bytes it does not tell which they are.
    """
    if isinstance(text, str):
        return parser_error
    for beginning, problem in _BEGINNINGS.items():
        if text.startswith(beginning):
            return f"{problem}, at line 1 column 1"
    try:
        text.decode()
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        column = error.start - text.rfind(b"\n", 0, error.start)
        return f"the byte 0x{text[error.start]:02x} at line {line} column {column} is not UTF-8"
    return parser_error
