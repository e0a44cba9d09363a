"""Responses of external listeners, odd ones included, and how the relay has to read them."""

from triptych.webhooks.http.responses import HEAD_MAX


def head(*fields: bytes, status: bytes = b"HTTP/1.1 200 OK", body: bytes = b"ok") -> bytes:
    length = b"Content-Length: %d" % len(body)
    return b"".join(line + b"\r\n" for line in (status, length, *fields, b"")) + body


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


# The bytes of a response, and their meaning: status, whether the connection is reusable, body.
RESPONSES = {
    "plain": (head(), 200, True, b"ok"),
    "no reason": (head(status=b"HTTP/1.1 200"), 200, True, b"ok"),
    "two spaces": (head(status=b"HTTP/1.1  200 OK"), 200, True, b"ok"),
    "lower case": (head(status=b"http/1.1 200 ok"), 200, True, b"ok"),
    "reason in Latin-1": (head(status=b"HTTP/1.1 200 \xfc\x00"), 200, True, b"ok"),
    "line feeds alone": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", 200, True, b"ok"),
    "blank lines first": (b"\r\n\r\n" + head(), 200, True, b"ok"),
    "HTTP/1.0": (head(status=b"HTTP/1.0 200 OK"), 200, False, b"ok"),
    "HTTP/2.0": (head(status=b"HTTP/2.0 200 OK"), 200, False, b"ok"),
    "a field of 9 kB": (head(b"Content-Security-Policy: " + b"x" * 9_000), 200, True, b"ok"),
    "200 fields": (head(*(b"X-%d: v" % number for number in range(200))), 200, True, b"ok"),
    "a space before the colon": (head(b"X-Foo : bar"), 200, True, b"ok"),
    "a line without a colon": (head(b"nothing"), 200, False, b"ok"),
    "a folded line": (head(b"X-Foo: a\r\n b"), 200, False, b"ok"),
    "a name that is no token": (head(b"\xff\x00(x): v"), 200, True, b"ok"),
    "a length twice, equal": (head(b"Content-Length: 2"), 200, True, b"ok"),
    "a length twice, in one field": (b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", 200, True, b"ok"),
    "two lengths": (head(b"Content-Length: 3"), 200, False, b"ok"),
    "a length that is none": (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok", 200, False, b"ok"),
    "an endless length": (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\nok", 200, False, b"ok"),
    "length and chunks": (head(b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n"), 200, False, b"ok"),
    "Connection: close and more": (head(b"Connection: close") + b"more", 200, False, b"ok"),
    "more than the length": (head() + b"more", 200, False, b"ok"),
    "less than the length": (head(b"X: y")[:-1], 200, False, b"o"),
    "no length": (b"HTTP/1.1 200 OK\r\n\r\nok", 200, False, b"ok"),
    "chunks": (CHUNKED + b"1;a=b\r\no\r\n1\r\nk\r\n0\r\nTrailer: x\r\n\r\n", 200, True, b"ok"),
    "a chunk size that is none": (CHUNKED + b"ZZZ\r\nok\r\n", 200, False, b""),
    "a broken chunk": (CHUNKED + b"1\r\nok\r\n0\r\n\r\n", 200, False, b"o"),
    "chunks that break off": (CHUNKED + b"5\r\nok", 200, False, b"ok"),
    "another coding": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\nok", 200, False, b"ok"),
    "a head that breaks off": (b"HTTP/1.1 200 OK\r\nContent-Le", 200, False, b""),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, True, b""),
    "204 with a length": (b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", 204, True, b""),
    "204 with a body": (b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", 204, False, b""),
    "302": (head(b"Location: /x", status=b"HTTP/1.1 302 Found"), 302, True, b"ok"),
    "early hints": (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + head(), 200, True, b"ok"),
    "continue, twice": (b"HTTP/1.1 100 Continue\r\n\r\n" * 2 + head(), 200, True, b"ok"),
    "101": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 101, False, b""),
    "a status out of range": (head(status=b"HTTP/1.1 999 Odd"), 999, True, b"ok"),
    "status 000": (head(status=b"HTTP/1.1 000 Odd"), 0, True, b"ok"),
}


# Bytes that are not a response. The connection ends after them.
NOT_RESPONSES = {
    "HTTP/0.9": b"<html>welcome</html>",
    "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x50",
    "four digits": head(status=b"HTTP/1.1 2000 OK"),
    "two digits": head(status=b"HTTP/1.1 20 OK"),
    "no space before the reason": head(status=b"HTTP/1.1 200OK"),
    "no version": head(status=b"HTTP 200 OK"),
    "half a status line": b"HTTP/1.1 200 OK",
    "nothing but hints": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "ICY": head(status=b"ICY 200 OK"),
    "hints without end": b"HTTP/1.1 103 Early Hints\r\n\r\n" * (HEAD_MAX // 28 + 1),
}
