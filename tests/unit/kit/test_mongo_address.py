"""Addresses of MongoDB that would weaken a promise are refused, and the message names the option."""

from typing import Literal

import pytest

from triptych.kit.failures import StartRefused
from triptych.kit.mongo.address import without_user
from triptych.kit.mongo.driver import connect

both_drivers = pytest.mark.parametrize("driver", ["pymongo", "motor"])
Driver = Literal["pymongo", "motor"]

REFUSED = [
    "w=1",
    "w=0",
    "w=2",
    "journal=false",
    "wTimeoutMS=1",
    "wtimeoutms=60000",
    "timeoutMS=500",
    "readPreference=secondary",
    "readPreference=secondaryPreferred",
    "readPreference=primaryPreferred",
    "readpreference=nearest",
    "readPreference=secondary&readPreferenceTags=dc:ny",
    "readPreference=secondary&maxStalenessSeconds=120",
    "readConcernLevel=local",
    "readConcernLevel=available",
    "retryWrites=false",
    "retryReads=false",
    "socketTimeoutMS=500",
    "socketTimeoutMS=600000",
    "unicode_decode_error_handler=ignore",
    "tls=true&tlsInsecure=true",
    "tls=true&tlsAllowInvalidCertificates=true",
    "tls=true&tlsallowinvalidhostnames=true",
]
ACCEPTED = [
    "",
    "replicaSet=rs0",
    "w=majority&journal=true&retryWrites=true&retryReads=true",
    "readPreference=primary&readConcernLevel=majority",
    "socketTimeoutMS=20000",
    "directConnection=true",
    "authSource=admin&tls=false&appName=w%3D1",
    "compressors=zlib",
]


@both_drivers
@pytest.mark.parametrize("options", REFUSED)
def test_an_option_that_weakens_a_promise_is_refused_by_its_name(options: str, driver: Driver) -> None:
    with pytest.raises(StartRefused) as refused:
        connect(f"mongodb://me:s3cret@127.0.0.1:1,127.0.0.1:2/?{options}", driver)
    for option in options.removeprefix("tls=true&").split("&"):
        assert f"{option}," in str(refused.value)
    assert "Remove it" in str(refused.value)
    assert "s3cret" not in str(refused.value)


@both_drivers
@pytest.mark.parametrize("options", ACCEPTED)
async def test_other_options_are_accepted(options: str, driver: Driver) -> None:
    client = connect(f"mongodb://me:s3cret@127.0.0.1:1/?{options}", driver)
    closing = client.close()
    if closing is not None:
        await closing


@both_drivers
@pytest.mark.parametrize("secret", ["12/s3cret", "s3:cret", "s3[cret:", "s3?cret=1"])
def test_no_part_of_a_password_that_is_not_encoded_is_shown(secret: str, driver: Driver) -> None:
    with pytest.raises(StartRefused, match="TRIPTYCH_MONGO_URI") as refused:
        connect(f"mongodb://me:{secret}@127.0.0.1:1/?replicaSet=rs0", driver)
    assert "cret" not in str(refused.value)
    assert "12" not in str(refused.value)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("mongodb://a:1,b:2/?replicaSet=rs0", "mongodb://a:1,b:2/?replicaSet=rs0"),
        ("mongodb+srv://me:s3cret@db.example/x?appName=y", "mongodb+srv://db.example/x"),
        ("mongodb://me@a/?tls=true&tlsCertificateKeyFilePassword=s3cret", "mongodb://a/?tls=true"),
        ("mongodb://a", "mongodb://a"),
        ("mongodb://a?replicaSet=r@s", "mongodb://a?replicaSet=r@s"),
    ],
)
def test_an_address_is_shown_without_user_and_secrets(uri: str, shown: str) -> None:
    assert without_user(uri) == shown
