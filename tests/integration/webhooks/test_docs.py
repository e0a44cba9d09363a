"""The code in docs/listeners.md accepts real deliveries and refuses altered ones, in its five languages.

So does the verifier of the Python client.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.histories import History
from tests.support.installation import open_installation
from tests.support.kafka import raw_producer
from tests.support.listeners_page import FUNCTIONS, LANGUAGES, call_of, code_of
from tests.support.receiver import Received, open_receiver
from tests.support.relay import ALL_TYPES, SITE, Admin, relay_settings
from triptych.client.webhooks import InvalidDelivery, WebhookVerifier
from triptych.contract.domain_event import GalleryCreated
from triptych.devstack.stack import Addresses
from triptych.kit.startup.provision import ensure_indexes
from triptych.webhooks.app import compose
from triptych.webhooks.model.registration import NewListener
from triptych.webhooks.store.provision import INDEXES
from triptych.webhooks.store.sealing import make_sealer

pytestmark = pytest.mark.xdist_group("webhooks-docs")

TOOLS = {"python": sys.executable, "javascript": "node", "java": "java", "go": "go", "bash": "bash"}


def accepts(language: str, dialect: str, folder: Path) -> bool:
    code, call = code_of(language, dialect), call_of(language, dialect)
    if language == "go":
        folder.joinpath("page.go").write_text(code)
        folder.joinpath("main.go").write_text(call)
        command = ["run", "page.go", "main.go"]
    elif language == "java":  # runs the first class of a file
        imports, found, rest = code.partition("class ")
        folder.joinpath("Page.java").write_text(imports + call + found + rest)
        command = ["-XX:TieredStopAtLevel=1", "Page.java"]
    else:
        name = {"python": "page.py", "javascript": "page.mjs", "bash": "page.sh"}[language]
        folder.joinpath(name).write_text(code + call)
        command = [name]
    return subprocess.run([TOOLS[language], *command], cwd=folder, capture_output=True, check=False).returncode == 0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sent(stack: Addresses) -> dict[str, tuple[Received, str]]:
    """A delivery in each format, and the key that verifies it."""
    keys: dict[str, str] = {}
    async with open_installation(stack) as installation, open_receiver() as receiver:
        await ensure_indexes(installation.database, INDEXES)
        admin = Admin(installation.database, make_sealer(relay_settings(installation)))
        for dialect in FUNCTIONS:
            wanted = {"url": receiver.url(f"/{dialect}"), "eventTypes": ALL_TYPES, "format": dialect}
            wire = (await admin.listeners.create(SITE, NewListener.model_validate(wanted))).to_wire()
            key = wire["verificationKey"] or wire["publicKey"] or wire["secret"]
            assert key is not None
            keys[dialect] = key
        async with (
            compose(relay_settings(installation)),
            raw_producer(installation.addresses.kafka_bootstrap) as producer,
        ):
            (event,) = History().create().messages
            await producer.send_and_wait(
                installation.topics.events, event.value, event.key, headers=list(event.headers)
            )
            return {dialect: ((await receiver.until(1, f"/{dialect}"))[0], key) for dialect, key in keys.items()}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("dialect", FUNCTIONS)
def test_the_page_verifies(sent: dict[str, tuple[Received, str]], tmp_path: Path, language: str, dialect: str) -> None:
    needed = (TOOLS[language], *(("openssl", "jq") if language == "bash" else ()))
    if missing := [tool for tool in needed if shutil.which(tool) is None]:
        pytest.skip(f"not here: {missing}")
    request, key = sent[dialect]
    tmp_path.joinpath("headers.json").write_text(json.dumps(request.headers))
    tmp_path.joinpath("headers").write_text("".join(f"{name}: {value}\n" for name, value in request.headers.items()))
    tmp_path.joinpath("key").write_text(key)
    tmp_path.joinpath("body").write_bytes(request.body)
    assert accepts(language, dialect, tmp_path)
    altered = request.body.replace(b"false", b"true") if dialect != "wix-jwt" else request.body[:-4] + b"AAAA"
    tmp_path.joinpath("body").write_bytes(altered)
    assert not accepts(language, dialect, tmp_path)


@pytest.mark.parametrize("dialect", FUNCTIONS)
def test_the_client_verifies(sent: dict[str, tuple[Received, str]], dialect: str) -> None:
    request, key = sent[dialect]
    verifier = WebhookVerifier(key)
    delivery = verifier.verify(request.headers, request.body)
    assert isinstance(delivery.event, GalleryCreated)
    assert delivery.site_id == (SITE if dialect == "wix-jwt" else None)
    altered = request.body.replace(b"false", b"true") if dialect != "wix-jwt" else request.body[:-4] + b"AAAA"
    with pytest.raises(InvalidDelivery, match="WRONG_SIGNATURE"):
        verifier.verify(request.headers, altered)
