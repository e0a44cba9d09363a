"""MongoDB by TLS and with a user; every wrong way is one clear line and no start."""

from collections.abc import Callable

import pytest

from tests.support.secure.links import Fields, Links, settings_of
from triptych.kit.failures import NotYetAvailable, StartRefused
from triptych.kit.mongo.opening import open_settings_database

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("secure-links")]


@pytest.mark.parametrize("driver", ["pymongo", "motor"])
async def test_mongodb_by_tls_with_a_user(links: Links, driver: str) -> None:
    async with open_settings_database(settings_of(links.database(mongo_driver=driver))) as database:
        await database["things"].insert_one({"_id": 1})
        assert await database["things"].count_documents({}) == 1


MONGO_REFUSED: dict[str, tuple[Callable[[Links], Fields], str]] = {
    "wrong password": (
        lambda links: links.database(mongo_password="hidden"),
        "refuses the user or the password .*TRIPTYCH_MONGO_PASSWORD",
    ),
    "no user": (
        lambda links: links.database(mongo_username=None, mongo_password=None),
        "does not allow this user to use the database",
    ),
    "strange authority": (
        lambda links: links.database(mongo_tls_ca_file=links.stranger.file),
        r"at 127\.0\.0\.1:\d+ cannot be used by TLS: certificate verify failed: .* \(TRIPTYCH_MONGO_TLS_CA_FILE",
    ),
    "another host": (
        lambda links: links.database(
            mongo_uri=f"mongodb://{links.mongo.replace('127.0.0.1', 'localhost')}/?"
            "replicaSet=rs0&serverSelectionTimeoutMS=1500"
        ),
        "certificate is not valid for 'localhost'",
    ),
    "two users": (
        lambda links: links.database(mongo_uri=f"mongodb://u:hidden@{links.mongo}/?replicaSet=rs0"),
        "TRIPTYCH_MONGO_URI has a user too",
    ),
    "TLS off": (
        lambda links: links.database(mongo_uri=f"mongodb://{links.mongo}/?replicaSet=rs0&tls=false"),
        "TRIPTYCH_MONGO_URI has tls",
    ),
    "unencoded password": (
        lambda links: {"mongo_uri": f"mongodb://u:12/hidden@{links.mongo}/?replicaSet=rs0"},
        "not percent-encoded",
    ),
    "no file": (
        lambda links: links.database(mongo_tls_ca_file=links.folder / "absent"),
        "TRIPTYCH_MONGO_TLS_CA_FILE: .*absent cannot be read",
    ),
}


@pytest.mark.parametrize("case", MONGO_REFUSED)
async def test_what_waiting_cannot_resolve_at_mongodb_is_refused_in_one_line(links: Links, case: str) -> None:
    fields, words = MONGO_REFUSED[case]
    with pytest.raises(StartRefused, match=words) as refused:
        async with open_settings_database(settings_of(fields(links))):
            pass
    assert not isinstance(refused.value, NotYetAvailable)
    assert len(str(refused.value).splitlines()) == 1
    assert "hidden" not in str(refused.value)


async def test_a_mongodb_that_gives_no_reason_is_waited_for_with_a_hint(links: Links) -> None:
    for fields in ({"mongo_tls_ca_file": None}, {"mongo_tls_certificate_file": links.stranger.issue("client").both}):
        with pytest.raises(NotYetAvailable, match="asks for TLS or for another certificate"):
            async with open_settings_database(settings_of(links.database(**fields))):
                pass
