"""Makes TLS contexts from files of certificates and keys, and tells lasting TLS errors from transient ones."""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from triptych.kit.failures import StartRefused
from triptych.kit.logs.loggers import get_logger

log = get_logger(__name__)

Stamps = tuple[tuple[int, int, int], ...]
_LASTING_REASONS = (
    "CERTIFICATE_VERIFY_FAILED",
    "WRONG_VERSION_NUMBER",
    "UNSUPPORTED_PROTOCOL",
    "NO_SHARED_CIPHER",
    "HTTP_REQUEST",
)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The files of one end of TLS connections, in PEM.

    Attributes:
        prefix: of the names of the settings, for messages: `<prefix>_CA_FILE`, `_CERTIFICATE_FILE`, `_KEY_FILE`,
            `_KEY_PASSWORD`.
        authorities: certificates by which the other end is verified; those of the system if None.
        certificate: of this end, with its chain.
        key: of the certificate, unless it is in the same file.
        password: of the key.
    """

    prefix: str
    authorities: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def paths(self) -> list[Path]:
        """The files that are set."""
        return [path for _, path in self.with_settings()]

    def with_settings(self) -> list[tuple[str, Path]]:
        """The files that are set, each with the name of its setting."""
        files = {"CA_FILE": self.authorities, "CERTIFICATE_FILE": self.certificate, "KEY_FILE": self.key}
        return [(f"{self.prefix}_{name}", path) for name, path in files.items() if path is not None]


class ReloadingContext(ssl.SSLContext):
    """A context that reads its files again when one of them has changed. Open connections are not affected.

    It serves event loops, which call `wrap_bio` for each new connection.
    """

    _make: Callable[[], ssl.SSLContext]
    _files: TlsFiles
    _made: ssl.SSLContext
    _stamps: Stamps

    @classmethod
    def of(cls, files: TlsFiles, make: Callable[[], ssl.SSLContext], protocol: int) -> "ReloadingContext":
        """A context for `files`. Raises StartRefused, as `make` does."""
        context = cls(protocol)
        context._files, context._make = files, make
        context._stamps, context._made = _stamps(files), make()
        return context

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """Begin a connection with the present files; with the former ones while the present ones cannot be used."""
        return self._present().wrap_bio(*arguments, **options)

    def _present(self) -> ssl.SSLContext:
        stamps = _stamps(self._files)
        if stamps != self._stamps:
            self._stamps = stamps
            try:
                self._made = self._make()
                log.info("certificates were read again", files=[str(path) for path in self._files.paths])
            except StartRefused as refusal:
                # A certificate and its key are replaced one after the other: the second change brings the next try.
                log.warning("changed certificates are not used", error=str(refusal))
        return self._made


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """A context that verifies the server's certificate and name. Raises StartRefused if a file cannot be used."""

    def make() -> ssl.SSLContext:
        _require_readable(files)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if files.authorities is None:
            context.load_default_certs()
        else:
            try:
                context.load_verify_locations(files.authorities)
            except ssl.SSLError:
                name = f"{files.prefix}_CA_FILE"
                raise StartRefused(f"{name}: {files.authorities} holds no certificate in PEM.") from None
        _load_certificate(context, files)
        return context

    return ReloadingContext.of(files, make, ssl.PROTOCOL_TLS_CLIENT)


def server_context(files: TlsFiles, minimum: ssl.TLSVersion) -> ssl.SSLContext:
    """A context for a server with a certificate. Raises StartRefused if a file cannot be used."""

    def make() -> ssl.SSLContext:
        _require_readable(files)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = minimum
        _load_certificate(context, files)
        return context

    return ReloadingContext.of(files, make, ssl.PROTOCOL_TLS_SERVER)


def lasting_tls_error(error: BaseException) -> ssl.SSLError | None:
    """The TLS error among the causes of `error`, if a new connection would end in the same way.

    A connection that breaks during its handshake is no such error: the server may be starting or stopping.
    """
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause
        if isinstance(cause, ssl.SSLError) and is_lasting_reason(cause.reason or ""):
            return cause
    return None


def is_lasting_reason(reason: str) -> bool:
    """Whether OpenSSL's name of a reason, such as `CERTIFICATE_VERIFY_FAILED`, stays true for a new connection."""
    is_alert = "ALERT" in reason and "INTERNAL_ERROR" not in reason
    return is_alert or reason in _LASTING_REASONS


def tls_reason(error: ssl.SSLError) -> str:
    """Why a TLS handshake failed, in the words of OpenSSL."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message.rstrip(".")
    return (error.reason or "unreadable").lower().replace("_", " ")


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    present: BaseException | None = error
    while present is not None and id(present) not in seen:
        seen.add(id(present))
        yield present
        present = present.__cause__ or present.__context__


def _stamps(files: TlsFiles) -> Stamps:
    """What changes with the content of the files. Mounted secrets are replaced by links to new files."""
    found = []
    for path in files.paths:
        try:
            state = path.stat()
        except OSError:
            found.append((0, 0, 0))
        else:
            found.append((state.st_mtime_ns, state.st_size, state.st_ino))
    return tuple(found)


def _require_readable(files: TlsFiles) -> None:
    for name, path in files.with_settings():
        try:
            path.read_bytes()
        except OSError as error:
            raise StartRefused(f"{name}: {path} cannot be read: {error.strerror}.") from None


def _load_certificate(context: ssl.SSLContext, files: TlsFiles) -> None:
    if files.certificate is None:
        return
    try:
        # Without any password, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(files.certificate, files.key, files.password or "")
    except (ssl.SSLError, ValueError) as error:
        reason = tls_reason(error) if isinstance(error, ssl.SSLError) else str(error)
        key = files.key or files.certificate
        raise StartRefused(
            f"{files.prefix}_CERTIFICATE_FILE: the certificate in {files.certificate} and the key in {key} cannot be "
            f"used together ({reason}). If the key is encrypted, {files.prefix}_KEY_PASSWORD must be its password."
        ) from None
