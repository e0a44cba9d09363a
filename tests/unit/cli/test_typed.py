"""Wrong input on the command line is refused with a message, before anything is sent or stored."""

import pytest
import typer
from typer.testing import CliRunner

from triptych.cli.__main__ import app
from triptych.cli.send import read_command
from triptych.cli.sites import check_site
from triptych.kit.failures import StartRefused

GALLERY = '{"galleryId":"11111111-1111-4111-8111-111111111111"}'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("not json", "The data of ClearGallery is not JSON: expected ident at line 1 column 2"),
        ('{"galleryId":', "The data of ClearGallery is not JSON: EOF while parsing a value at line 1 column 13"),
        ("[]", "  data: "),
        ("{}", "  galleryId: is required"),
    ],
)
def test_wrong_data_is_reported_with_its_position(data: str, message: str) -> None:
    with pytest.raises(StartRefused) as refused:
        read_command("ClearGallery", data, "default", None)
    assert message in str(refused.value)


@pytest.mark.parametrize("command_id", ["", "x" * 256])
def test_an_id_that_no_command_can_have_is_refused(command_id: str) -> None:
    with pytest.raises(StartRefused, match="1 to 255 characters"):
        read_command("ClearGallery", GALLERY, "default", command_id)


def test_an_id_that_is_given_is_used() -> None:
    assert read_command("ClearGallery", GALLERY, "default", "one").command_id == "one"


@pytest.mark.parametrize("site", ["", "bad site!!", "a" * 65, "../x"])
def test_a_site_that_no_write_can_belong_to_is_refused(site: str) -> None:
    with pytest.raises(typer.BadParameter, match="1 to 64 letters"):
        check_site(site)


@pytest.mark.parametrize(
    "words",
    [
        ("keys", "create", "k", "--site", "bad site!!"),
        ("listeners", "create", "https://e.com", "--site", "bad site!!"),
        ("deliveries", "list", "x", "--site", "bad site!!"),
        ("send", "ClearGallery", GALLERY, "--site", "bad site!!"),
    ],
)
def test_every_command_refuses_an_invalid_site(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "bad site!!" in done.output
