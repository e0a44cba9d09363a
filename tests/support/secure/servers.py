"""One broker with a listener for each way to connect, and one MongoDB with a user, both with certificates."""

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from tests.support.secure.certificates import HOUR, Authority
from triptych.devstack.cache import cache_dir
from triptych.devstack.jars import jars_dir
from triptych.devstack.kafka import running_kafka
from triptych.devstack.mongo import REPLICA_SET, running_mongo
from triptych.devstack.ports import LOOPBACK, free_ports

USER, PASSWORD = "panel", "pass wörd:/@%"
"""The user of both servers. Its password would have to be encoded in an address."""
KAFKA_PASSWORD = "kafka secret+1"
SESSION_SECONDS = 2
"""After this time, the broker closes the connections of a token's session."""


@dataclass(frozen=True)
class SecureKafka:
    """Addresses of the listeners of one broker.

    Attributes:
        plain: without encryption and authentication.
        tls: asks for a certificate of the client.
        sasl: TLS with PLAIN, SCRAM and OAUTHBEARER; ends sessions after `SESSION_SECONDS`.
        misnamed: TLS with a certificate for another host.
        expired: TLS with a certificate that has expired.
        sasl_plain: SASL without encryption.
    """

    plain: str
    tls: str
    sasl: str
    misnamed: str
    expired: str
    sasl_plain: str


@contextmanager
def secure_kafka(folder: Path, authority: Authority) -> Iterator[SecureKafka]:
    """Run the broker. Raises StackUnavailable."""
    names = ("PLAIN", "TLS", "SASL", "MISNAMED", "EXPIRED", "SASLPLAIN")
    controller, *ports = free_ports(1 + len(names))
    addresses = [f"{LOOPBACK}:{port}" for port in ports]
    modules = "org.apache.kafka.common.security"
    properties = {
        "listeners": ",".join(
            [f"{name}://{address}" for name, address in zip(names, addresses, strict=True)]
            + [f"CONTROLLER://{LOOPBACK}:{controller}"]
        ),
        "listener.security.protocol.map": "PLAIN:PLAINTEXT,TLS:SSL,SASL:SASL_SSL,MISNAMED:SSL,EXPIRED:SSL,"
        "SASLPLAIN:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAIN",
        "ssl.keystore.type": "PEM",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.file),
        "ssl.keystore.location": str(authority.issue("broker").both),
        "listener.name.tls.ssl.client.auth": "required",
        "listener.name.misnamed.ssl.keystore.location": str(authority.issue("misnamed", "broker.example").both),
        "listener.name.misnamed.ssl.keystore.type": "PEM",
        "listener.name.expired.ssl.keystore.location": str(authority.issue("expired", age=3 * HOUR).both),
        "listener.name.expired.ssl.keystore.type": "PEM",
        "connection.failed.authentication.delay.ms": "10",
    }
    for listener in ("sasl", "saslplain"):
        prefix = f"listener.name.{listener}."
        properties |= {
            f"{prefix}sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER"
            if listener == "sasl"
            else "SCRAM-SHA-256",
            f"{prefix}plain.sasl.jaas.config": f"{modules}.plain.PlainLoginModule required "
            f'user_{USER}="{KAFKA_PASSWORD}";',
            f"{prefix}scram-sha-256.sasl.jaas.config": f"{modules}.scram.ScramLoginModule required;",
            f"{prefix}scram-sha-512.sasl.jaas.config": f"{modules}.scram.ScramLoginModule required;",
            f"{prefix}oauthbearer.sasl.jaas.config": f"{modules}.oauthbearer.OAuthBearerLoginModule required;",
            f"{prefix}oauthbearer.connections.max.reauth.ms": str(SESSION_SECONDS * 1_000),
        }
    users = [
        option
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
        for option in ("--add-scram", f'{mechanism}=[name="{USER}",password="{KAFKA_PASSWORD}",iterations=4096]')
    ]
    made = _folder_made(users)
    if made.is_dir():
        shutil.copytree(made, folder / "kafka" / "records")
    with running_kafka(
        data=folder / "kafka",
        logs=folder / "logs",
        port=ports[0],
        controller_port=controller,
        cache=cache_dir(os.environ),
        environ=os.environ,
        say=print,
        properties=properties,
        format_options=users,
    ) as until_ready:
        until_ready()
        if not made.is_dir():
            _keep(folder / "kafka" / "records", made)
        yield SecureKafka(*addresses)


def _folder_made(options: Sequence[str]) -> Path:
    """Where a data folder that Kafka has formatted with these options is kept: another JVM makes it in seconds."""
    jars = jars_dir(cache_dir(os.environ))
    return jars.with_name(f"{jars.name}-formatted-{hashlib.sha256(repr(options).encode()).hexdigest()[:16]}")


def _keep(records: Path, made: Path) -> None:
    """Keep what Kafka's formatting has made; the broker reads it at its first start, and does not change it."""
    with tempfile.TemporaryDirectory(dir=made.parent) as scratch:
        kept = Path(scratch, "records")
        kept.mkdir()
        for name in ("bootstrap.checkpoint", "meta.properties"):
            shutil.copyfile(records / name, kept / name)
        with contextlib.suppress(OSError):  # another run has put its own there
            kept.rename(made)


@contextmanager
def secure_mongo(folder: Path, authority: Authority) -> Iterator[str]:
    """Run a MongoDB that requires TLS and a user. Yields its host and port. Raises StackUnavailable."""
    folder.mkdir(parents=True, exist_ok=True)
    members_key = folder / "members.key"
    members_key.write_text("a2V5IG9mIHRoZSBtZW1iZXJz")
    members_key.chmod(0o600)
    (port,) = free_ports(1)
    with running_mongo(
        data=folder / "mongo",
        log=folder / "mongod.log",
        port=port,
        cache=cache_dir(os.environ),
        options=[
            *("--auth", "--keyFile", members_key),
            *("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", authority.issue("mongod").both),
            *("--tlsCAFile", authority.file, "--tlsAllowConnectionsWithoutCertificates"),
        ],
    ):
        _make_primary_with_user(port, authority.file)
        yield f"{LOOPBACK}:{port}"


def _make_primary_with_user(port: int, authorities: Path) -> None:
    """Begin the set and create the first user, which the server allows on its own machine without a user."""
    with MongoClient[dict[str, Any]](
        LOOPBACK, port, directConnection=True, serverSelectionTimeoutMS=500, tls=True, tlsCAFile=str(authorities)
    ) as client:
        configuration = {"_id": REPLICA_SET, "members": [{"_id": 0, "host": f"{LOOPBACK}:{port}"}]}
        _until(lambda: client.admin.command("replSetInitiate", configuration))
        _until(lambda: client.admin.command("hello")["isWritablePrimary"])
        client.admin.command("createUser", USER, pwd=PASSWORD, roles=["root"])


def _until(ask: Any) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            if ask():
                return
        except OperationFailure as error:
            if "already initialized" in str(error):
                return
            raise
        except PyMongoError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)
