"""Adds encryption and authentication from the settings to the address of MongoDB, which then holds no secret."""

from typing import Any

from triptych.kit.failures import StartRefused
from triptych.kit.mongo.address import has_user, options_of
from triptych.kit.process.mongo_settings import MongoSettings
from triptych.kit.process.secrets import text_of_secret
from triptych.kit.process.tls import TlsFiles, client_context

_TLS_OPTIONS = ("tlscafile", "tlscertificatekeyfile", "tlscertificatekeyfilepassword")


def client_options(settings: MongoSettings) -> dict[str, Any]:
    """The options of the driver that the settings add to the address.

    Raises:
        StartRefused: the address says something else, or a file of certificates or keys cannot be used.
    """
    options: dict[str, Any] = {}
    if settings.mongo_username and settings.mongo_password is not None:
        if has_user(settings.mongo_uri):
            raise StartRefused("TRIPTYCH_MONGO_USERNAME is set, but TRIPTYCH_MONGO_URI has a user too. Remove one.")
        options["username"] = settings.mongo_username
        options["password"] = settings.mongo_password.get_secret_value()
    files = TlsFiles(
        "TRIPTYCH_MONGO_TLS",
        settings.mongo_tls_ca_file,
        settings.mongo_tls_certificate_file,
        password=text_of_secret(settings.mongo_tls_key_password),
    )
    if files.paths:
        _require_agreement(settings.mongo_uri)
        client_context(files)  # finds unusable files; the driver makes a context of its own
        options["tls"] = True
        if files.authorities is not None:
            options["tlsCAFile"] = str(files.authorities)
        if files.certificate is not None:
            options["tlsCertificateKeyFile"] = str(files.certificate)
            if files.password:
                options["tlsCertificateKeyFilePassword"] = files.password
    return options


def _require_agreement(uri: str) -> None:
    for name, value in options_of(uri):
        is_off = name.lower() in ("tls", "ssl") and value.lower() != "true"
        if is_off or name.lower() in _TLS_OPTIONS:
            raise StartRefused(f"TRIPTYCH_MONGO_TLS_… settings are set, but TRIPTYCH_MONGO_URI has {name}. Remove one.")
