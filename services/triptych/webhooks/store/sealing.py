"""Encrypts the signing keys of listeners under the secrets key of the settings."""

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from triptych.kit.failures import StartRefused
from triptych.kit.mongo.driver import Database, DuplicateKeyError
from triptych.webhooks.store.settings import ListenerSettings

STATE = "listener_state"
_PROBE_ID = "sealing"
_PROBE = b"triptych"
_DEVELOPMENT_KEY = "dHJpcHR5Y2gtZGV2ZWxvcG1lbnQta2V5LW5vdC1zYWY="
_HOW = "Make one with: python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"


class Sealer:
    """Encrypts under the first key, and decrypts under any of the keys (Fernet: AES-CBC with HMAC-SHA256)."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Raises ValueError unless each key is 32 bytes in URL-safe base64."""
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def seal(self, secret: bytes) -> bytes:
        """The secret, encrypted and authenticated."""
        return self._fernet.encrypt(secret)

    def open(self, sealed: bytes) -> bytes:
        """The secret, decrypted. Raises ValueError if it was encrypted under none of the keys."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise ValueError("sealed under another key") from None


def make_sealer(settings: ListenerSettings) -> Sealer:
    """The sealer of this installation.

    Raises:
        StartRefused: the settings have no usable key. The message never contains the value.
    """
    if settings.secrets_key is None:
        if settings.local:
            return Sealer([_DEVELOPMENT_KEY])
        raise StartRefused(f"TRIPTYCH_SECRETS_KEY is not set; listeners' secrets are encrypted under it. {_HOW}")
    try:
        return Sealer([key.strip() for key in settings.secrets_key.get_secret_value().split(",")])
    except ValueError:
        raise StartRefused(f"TRIPTYCH_SECRETS_KEY must be 32 bytes in URL-safe base64. {_HOW}") from None


async def require_same_key(database: Database, sealer: Sealer) -> None:
    """Check that the key is the one under which this installation encrypts. The first key is accepted.

    Raises:
        StartRefused: the secrets in the database are encrypted under another key.
    """
    state = database[STATE]
    probe = await state.find_one({"_id": _PROBE_ID})
    if probe is None:
        try:
            await state.insert_one({"_id": _PROBE_ID, "sealed": sealer.seal(_PROBE)})
        except DuplicateKeyError:  # another process was first
            await require_same_key(database, sealer)
        return
    try:
        sealer.open(bytes(probe["sealed"]))
    except ValueError:
        raise StartRefused(
            "TRIPTYCH_SECRETS_KEY is not the key that this installation's secrets are encrypted under."
        ) from None
