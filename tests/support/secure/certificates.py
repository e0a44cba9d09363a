"""Makes authorities and certificates that are valid for an hour, in files."""

import datetime
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOUR = datetime.timedelta(hours=1)


@dataclass(frozen=True)
class Pair:
    """The files of a certificate, of its key (PKCS 8), and of both together."""

    certificate: Path
    key: Path
    both: Path


class Authority:
    """A certificate authority of its own."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._signed(self._key, name, datetime.timedelta(0), is_authority=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        name: str,
        host: str = "127.0.0.1",
        *,
        age: datetime.timedelta = datetime.timedelta(0),
        password: bytes | None = None,
    ) -> Pair:
        """A certificate for a host (an address or a name), issued `age` ago, so it may have expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(key, name, age, host=host)
        encryption: serialization.KeySerializationEncryption = (
            serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        )
        key_text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        text = certificate.public_bytes(serialization.Encoding.PEM)
        pair = Pair(*(self._folder / f"{name}.{kind}" for kind in ("crt", "key", "pem")))
        pair.certificate.write_bytes(text)
        pair.key.write_bytes(key_text)
        pair.both.write_bytes(key_text + text)
        return pair

    def _signed(
        self,
        key: ec.EllipticCurvePrivateKey,
        name: str,
        age: datetime.timedelta,
        *,
        host: str = "",
        is_authority: bool = False,
    ) -> x509.Certificate:
        begin = datetime.datetime.now(datetime.UTC) - age
        builder = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named(self._name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin - HOUR)
            .not_valid_after(begin + HOUR)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if host:
            builder = builder.add_extension(x509.SubjectAlternativeName([_host(host)]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
