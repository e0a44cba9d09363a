"""Replaces secrets in log lines: by the name of their field, by their form in a text, or by their value.

No line should contain a secret to begin with. This is the second line of defence: an error of a library may quote an
address with a password, or a header.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

MASK = "***"
KNOWN_MIN = 6
"""Characters of the shortest known secret that is looked for by its value: a shorter one would hit ordinary words."""

_WORDS = r"(?:authorization|cookie|passw(?:or)?d|passphrase|secret|token|api[_-]?key|private[_-]?key|credential)s?"
_NAME = re.compile(rf"(?:.*[_-])?{_WORDS}", re.IGNORECASE)
# Each form with words in lower case. Every text of the form contains at least one of them. Looking for words costs a
# hundredth of the search. Repetitions are bounded, so that no text from outside can make a search slow.
_FORMS: tuple[tuple[tuple[str, ...], re.Pattern[str], str], ...] = (
    # The user information of an address: scheme://user:password@host
    (
        ("://",),
        re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://)[^\s/?#@'\"]{0,200}:[^\s/?#@'\"]{0,400}@", re.IGNORECASE),
        rf"\1{MASK}@",
    ),
    # A private key in PEM; without its end if the text was cut.
    (
        ("-----begin ",),
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        MASK,
    ),
    # Prefixes: API keys of Triptych, secrets and private keys of Standard Webhooks.
    (("tk_", "whsec_", "whsk_"), re.compile(r"\b(tk_|whsec_|whsk_)[A-Za-z0-9+/_=-]{8,}"), rf"\1{MASK}"),
    # A JSON Web Token.
    (("eyj",), re.compile(r"\beyJ[A-Za-z0-9_-]{5,1000}\.[A-Za-z0-9_-]{1,2000}\.[A-Za-z0-9_-]*"), MASK),
    # A header, a field or a parameter: Authorization: Bearer x, 'password': 'x', ?token=x, (b'authorization', b'x')
    (
        ("authorization", "cookie", "passw", "passphrase", "secret", "token", "api", "private", "credential"),
        re.compile(
            rf"\b((?:[a-z0-9]{{1,30}}[_-]){{0,4}}{_WORDS}['\"]?\s*(?:[:=]|,(?=\s*b?['\"]))\s*(?:b?['\"])?)"
            r"(?:(?:bearer|basic)\s+)?[^\s'\",;&)\]}]+",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
)


class Masker:
    """Masks what looks like a secret, and the secrets that this process knows from its settings."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first, so that no end of a secret is left behind a shorter one.
        known = sorted({secret for secret in secrets if len(secret) >= KNOWN_MIN}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def mask(self, text: str) -> str:
        """The text with `***` in place of each secret."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        lowered = text.lower()
        for hints, form, replacement in _FORMS:
            if any(hint in lowered for hint in hints):
                text = form.sub(replacement, text)
        return text

    @staticmethod
    def is_secret(name: str) -> bool:
        """Whether a field of this name has a secret as its value."""
        return _is_secret(name)


@lru_cache(1_000)  # nearly all names are constants of the code
def _is_secret(name: str) -> bool:
    return _NAME.fullmatch(name) is not None
