"""Explains why bytes are not a JSON text, with line and column."""

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE

# Some editors and shells write byte order marks, of UTF-8 or of UTF-16.
_BYTE_ORDER_MARKS = {
    BOM_UTF8: "it begins with a byte order mark, which JSON does not allow",
    BOM_UTF16_LE: "it is UTF-16, and JSON is UTF-8",
    BOM_UTF16_BE: "it is UTF-16, and JSON is UTF-8",
}


def why_not_json(text: bytes | bytearray | str, parser_error: str) -> str:
    """The cause with line and column, such as `trailing characters at line 1 column 4`.

    Args:
        text: the refused text.
        parser_error: the parser's message, which does not name the byte that is not UTF-8.
    """
    if isinstance(text, str):
        return parser_error
    for mark, problem in _BYTE_ORDER_MARKS.items():
        if text.startswith(mark):
            return f"{problem}, at line 1 column 1"
    try:
        text.decode()
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        column = error.start - text.rfind(b"\n", 0, error.start)
        return f"the byte 0x{text[error.start]:02x} at line {line} column {column} is not UTF-8"
    return parser_error
