"""The reference pages agree with the code and are complete."""

from pathlib import Path

import pytest

from tests.support.pages import ROOT
from triptych.cli.reference import outdated, pages, write
from triptych.cli.setting_descriptions import descriptions
from triptych.cli.settings import SETTINGS_OF
from triptych.kit.process.settings import KitSettings


def test_the_pages_are_up_to_date() -> None:
    assert outdated(ROOT / "docs") == [], "run `make reference` and review the difference"


@pytest.mark.parametrize("kind", SETTINGS_OF.values(), ids=SETTINGS_OF)
def test_every_setting_is_described(kind: type[KitSettings]) -> None:
    assert [name for name in kind.model_fields if not descriptions(kind).get(name)] == []


def test_outdated_pages_are_named_and_written_again(tmp_path: Path) -> None:
    write(tmp_path)
    assert outdated(tmp_path) == []
    (tmp_path / "settings.md").write_text("# Settings\n", encoding="utf-8")
    (tmp_path / "metrics.md").unlink()
    assert outdated(tmp_path) == ["settings.md", "metrics.md"]


def test_every_row_has_all_of_its_columns() -> None:
    for name in ("settings.md", "metrics.md"):
        text = pages()[name]
        rows = [line for line in text.splitlines() if line.startswith("| `")]
        assert rows
        for row in rows:
            cells = [cell.strip() for cell in row.replace("\\|", "").split("|")][1:-1]
            assert len(cells) == 5
            assert cells[-1]
            assert cells[-2], "no process"


def test_a_metric_is_reported_by_the_services_that_change_it() -> None:
    rows = {line.split("`")[1]: line for line in pages()["metrics.md"].splitlines() if line.startswith("| `")}
    assert "| command |" in rows["triptych_commands_total"]
    assert "| gateway |" in rows["triptych_http_request_seconds"]
    assert "| command, projector, webhooks |" in rows["triptych_batch_seconds"]
    assert "| all |" in rows["triptych_waiting_seconds"]
    assert "| all |" in rows["triptych_build_info"], "what only the start of a process uses"
