"""Log lines: the same form for the product and for libraries, one line each in JSON, and no way to forge one."""

import io
import logging
import re
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any
from unittest.mock import patch

import orjson
import pytest

from tests.support.log_lines import read_line
from triptych.kit.logs.lines import LogFormat
from triptych.kit.logs.loggers import get_logger
from triptych.kit.logs.setup import QUIET, configure_logging, log_refusal, log_uncaught_errors, write_last_line
from triptych.kit.logs.values import ENTRIES_MAX, TEXT_MAX
from triptych.kit.process.settings import KitSettings

FORGED = 'x\n2026-01-01T00:00:00.000Z [info     ] forged\r\x1b[2K{"event":"forged"}\u2028\x85\u202e\x00'
WITH_LEVELS = (*QUIET, "triptych")
log = get_logger("triptych.test")


class Stream(io.StringIO):
    """Stands for stderr."""

    is_terminal = False

    def isatty(self) -> bool:
        return self.is_terminal


@dataclass
class Output:
    """What is written while the log of this process is set up as that of a service."""

    stream: Stream

    def configure(self, level: str = "INFO", log_format: LogFormat | None = None, secrets: Iterable[str] = ()) -> None:
        """Set up the log."""
        configure_logging("command", level, log_format, secrets, self.stream)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The lines, which have to be JSON."""
        return [read_line(line) for line in self.stream.getvalue().split("\n")[:-1]]

    @property
    def text(self) -> str:
        return self.stream.getvalue()


@pytest.fixture
def output() -> Iterator[Output]:
    root = logging.getLogger()
    before = root.handlers[:], root.level, {name: logging.getLogger(name).level for name in WITH_LEVELS}
    root.handlers = []
    logging.getLogger("triptych").setLevel(logging.NOTSET)  # the root decides, as in a service
    yield Output(Stream())
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = before[0], before[1]
    for name, level in before[2].items():
        logging.getLogger(name).setLevel(level)


def test_a_line_of_the_product_and_one_of_a_library_have_the_same_form(output: Output) -> None:
    output.configure("INFO")
    log.warning("a record was refused", site_id="s", offset=7)
    logging.getLogger("aiokafka.client").warning("lost node %d", 1)
    own, foreign = output.lines
    assert list(own) == ["timestamp", "level", "logger", "event", "site_id", "offset", "service", "instance"]
    assert (own["level"], own["logger"], own["event"], own["offset"]) == (
        "warning",
        "triptych.test",
        "a record was refused",
        7,
    )
    assert (foreign["logger"], foreign["event"]) == ("aiokafka.client", "lost node 1")
    assert own.keys() - foreign.keys() == {"site_id", "offset"}
    assert (own["service"], foreign["service"], own["instance"]) == ("command", "command", foreign["instance"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", own["timestamp"])


@pytest.mark.parametrize(
    ("is_terminal", "chosen", "is_json"), [(False, None, True), (True, None, False), (False, "text", False)]
)
def test_the_form_is_json_outside_a_terminal_unless_it_is_chosen(
    output: Output, is_terminal: bool, chosen: Any, is_json: bool
) -> None:
    output.stream.is_terminal = is_terminal
    output.configure("INFO", chosen)
    log.info("hello", site_id="s")
    assert output.text.startswith("{") == is_json
    assert ("\x1b[" in output.text) == is_terminal  # colours
    assert "hello" in output.text


def test_lines_below_the_level_are_not_written_and_libraries_are_quiet(output: Output) -> None:
    output.configure("WARNING")
    log.info("not this")
    log.warning("this")
    output.configure("INFO")
    logging.getLogger("pymongo").info("nor this")
    logging.getLogger("another").info("and this")
    assert [line["event"] for line in output.lines] == ["this", "and this"]


def test_an_exception_is_a_field_without_local_variables(output: Output) -> None:
    output.configure()
    local = "of-no-concern"
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ValueError(f"outer {len(local)}") from inner
    except ValueError as error:
        log.exception("failed", error=error)
    (line,) = output.lines
    assert line["error"] == "ValueError: outer 13"
    outer, cause = line["exception"]
    assert (outer["exc_type"], cause["exc_type"], cause["is_cause"]) == ("ValueError", "KeyError", True)
    assert outer["frames"][-1]["name"] == "test_an_exception_is_a_field_without_local_variables"
    assert local not in output.text


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_nothing_in_a_line_can_forge_another(output: Output, log_format: Any) -> None:
    output.configure("INFO", log_format)
    log.info("a record was refused", source=FORGED, examples=[{"key": FORGED}], **{FORGED: 1})
    logging.getLogger("library").error(FORGED)
    try:
        raise ValueError(FORGED)
    except ValueError as error:
        log.exception("failed", error=error)
    lines = output.text.split("\n")[:-1]
    assert all(line.isprintable() for line in lines)
    if log_format == "json":
        assert len(output.lines) == 3
        assert output.lines[0]["source"] == FORGED
    else:
        starts = [line for line in lines if not line.startswith("    ")]
        assert len(starts) == 3
        assert [line.split("] ", 1)[1][:6] for line in starts] == ["a reco", r"x\n202", "failed"]


class Colour(Enum):
    """A value of an enumeration."""

    RED = "red"


def test_any_value_is_written_within_bounds(output: Output) -> None:
    output.configure()
    nested: list[Any] = []
    for _ in range(100):
        nested = [nested]
    log.info(
        "odd",
        huge=2**70,
        nan=float("nan"),
        surrogate="\udcff",
        raw=b"\xffx",
        kinds={3, 1},
        colour=Colour.RED,
        error=ValueError(),
        long="x" * 100_000,
        many=list(range(1_000)),
        nested=nested,
        keys={1: "a"},
        kind=ValueError,
    )
    (line,) = output.lines
    assert (line["huge"], line["nan"], line["surrogate"], line["raw"]) == (str(2**70), None, "\\udcff", "\\xffx")
    assert (line["kinds"], line["colour"], line["error"], line["keys"]) == ([1, 3], "red", "ValueError", {"1": "a"})
    assert line["long"] == "x" * TEXT_MAX + " (cut)"
    assert line["many"] == list(range(ENTRIES_MAX))
    assert len(output.text) < 4 * TEXT_MAX


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_no_known_secret_is_written_in_any_place(output: Output, log_format: Any) -> None:
    settings = KitSettings(mongo_uri="mongodb://user:pass%2Fphrase@mongo/?replicaSet=rs0")
    output.configure("INFO", log_format, settings.secret_values())
    log.info("pass/phrase", error="pass/phrase", examples=[{"pass/phrase": ("pass/phrase", b"pass/phrase")}])
    logging.getLogger("pymongo").error("cannot reach %s", settings.mongo_uri)
    try:
        raise ValueError("pass/phrase") from OSError(settings.mongo_uri)
    except ValueError as error:
        log.exception("failed", error=error)
    assert output.text.count("***") >= 8
    assert "phrase" not in output.text


def test_a_refusal_is_one_line_for_collectors_and_readable_for_people(
    output: Output, capsys: pytest.CaptureFixture[str]
) -> None:
    output.configure()
    log_refusal("gateway", "These settings cannot be used:\n  TRIPTYCH_X: wrong")
    (line,) = output.lines
    assert (line["level"], line["error"]) == ("critical", "These settings cannot be used:\n  TRIPTYCH_X: wrong")
    output.configure("INFO", "text")
    log_refusal("gateway", "These settings cannot be used:\n  TRIPTYCH_X: wrong")
    assert capsys.readouterr().err == "gateway: These settings cannot be used:\n  TRIPTYCH_X: wrong\n"


def test_errors_that_nobody_catches_are_lines(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(module, name, getattr(module, name))  # restored afterwards

    def fail() -> None:
        raise ValueError("planted")

    class Failing:
        def __del__(self) -> None:
            fail()

    output.configure()
    log_uncaught_errors()
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    Failing()
    sys.excepthook(ValueError, ValueError("planted"), None)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert [line["event"] for line in output.lines] == [
        "an unexpected error ends a thread",
        "an error was ignored, because nobody could catch it",
        "an unexpected error ends the process",
    ]
    assert {line["exception"][0]["exc_value"] for line in output.lines} == {"planted"}


def test_a_warning_of_python_is_a_line(output: Output) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)  # a test before may have left it on, and then the next call does nothing
        output.configure()
        warnings.warn("old\nfashioned", DeprecationWarning, stacklevel=1)
    (line,) = output.lines
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")
    assert "fashioned" in line["event"]


def test_the_last_line_of_a_process_needs_no_lock(output: Output) -> None:
    output.configure()
    (handler,) = logging.getLogger().handlers
    assert handler.lock is not None
    written: list[bytes] = []
    with handler.lock, patch("os.write", lambda _file, line: written.append(line)):
        write_last_line("the end")
    assert orjson.loads(written[0])["event"] == "the end"
    assert read_line(written[0].decode().rstrip("\n"))["level"] == "critical"
