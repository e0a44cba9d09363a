"""Shapes of the requests and responses about dead letters."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from triptych.contract.base import Guid, Instant, ViolatedRule, WireModel, broken
from triptych.contract.identity import SITE_ID_FORM, is_site_id
from triptych.contract.topics import Topics
from triptych.deadletters.model.letter import Refusal
from triptych.deadletters.model.selection import Selection, State
from triptych.gateway.api.dead_letter_cursors import CURSOR_EXAMPLE, STEP_EXAMPLE, check_cursor, check_step

PAGE_MAX = 100


class DeadLetterTopic(StrEnum):
    """A topic that has dead letters, by its name without the prefix."""

    COMMANDS = "commands"
    EVENTS = "events"


class Handled(StrEnum):
    """Which dead letters, by what was done about them."""

    OPEN = "open"
    REPLAYED = "replayed"
    DROPPED = "dropped"
    ALL = "all"


def _check_site(site_id: str) -> str:
    if not is_site_id(site_id):
        raise broken(ViolatedRule.FORMAT, f"must be {SITE_ID_FORM}", data={"expected": SITE_ID_FORM})
    return site_id


class LetterFilter(WireModel):
    """Which dead letters. `siteId`, `galleryId` and `messageId` are what the records say about themselves."""

    topic: DeadLetterTopic | None = None
    partition: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    reason: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    since: Instant | None = None
    until: Instant | None = None
    site_id: Annotated[str, Field(max_length=64), AfterValidator(_check_site)] | None = None
    gallery_id: Guid | None = None
    message_id: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    state: Handled = Handled.OPEN

    def selection(self, topics: Topics) -> Selection:
        """The selection of dead letters that it describes."""
        return Selection(
            topic=None if self.topic is None else topics.dead_lettering[self.topic.value],
            partition=self.partition,
            reason=self.reason,
            since=self.since,
            until=self.until,
            site_id=self.site_id,
            gallery_id=self.gallery_id,
            message_id=self.message_id,
            state=None if self.state is Handled.ALL else State(self.state.value),
        )


class LettersQuery(LetterFilter):
    """Which dead letters to list: a page of them, after the `cursor` of the page before."""

    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = PAGE_MAX
    cursor: (
        Annotated[
            str, Field(max_length=300, json_schema_extra={"example": CURSOR_EXAMPLE}), AfterValidator(check_cursor)
        ]
        | None
    ) = None


class ReplayLetterBody(WireModel):
    """How to replay one dead letter. `again` permits what was replayed or dropped, `old` what may take effect twice."""

    model_config = ConfigDict(extra="forbid")

    again: bool = False
    old: bool = False
    dry_run: bool = False


class DropLettersBody(LetterFilter):
    """Which dead letters to drop. At least one of the filters is needed; a misspelt one would mean more, so it is
    refused."""

    model_config = ConfigDict(extra="forbid")

    dry_run: bool = False
    cursor: (
        Annotated[str, Field(max_length=300, json_schema_extra={"example": STEP_EXAMPLE}), AfterValidator(check_step)]
        | None
    ) = None

    @model_validator(mode="after")
    def _check_restricted(self) -> Self:
        if not self.selection(Topics()).is_restricted:
            raise broken(
                ViolatedRule.CUSTOM,
                "must have topic, partition, reason, since, until, siteId, galleryId or messageId",
            )
        return self


class ReplayLettersBody(DropLettersBody):
    """Which dead letters to replay, and how. See `DropLettersBody` and `ReplayLetterBody`."""

    again: bool = False
    old: bool = False


class Content(WireModel):
    """Bytes: `text` if they are UTF-8, otherwise `base64`. Long ones are truncated; `bytes` is their full number."""

    bytes: int
    is_truncated: bool
    text: str | None
    base64: str | None


class LetterHeader(WireModel):
    """A header of the refused record; its value may be null."""

    name: str
    value: Content | None


class LetterAction(WireModel):
    """Something that was done about a dead letter."""

    state: State
    date: Instant
    by: str
    to: str | None


class DeadLetterForm(WireModel):
    """A dead letter: the refused record, and why it was refused."""

    id: str
    state: State
    topic: str
    partition: int
    date: Instant
    reason: str
    error: str
    origin: str | None
    offsets: str | None
    attempts: int
    site_id: str | None
    gallery_id: Guid | None
    message_id: str | None
    type: str | None
    source: str | None
    bytes: int
    parts: int
    replays: int
    replay_of: str | None
    problem: Refusal | None
    actions: list[LetterAction]


class FullDeadLetter(DeadLetterForm):
    """A dead letter with the content of its record. The beginning of a long value is shown, and 200 headers."""

    key: Content | None
    headers: list[LetterHeader]
    header_count: int
    value: Content | None


class DeadLettersAnswer(WireModel):
    """A page of dead letters. It may be short or empty although there are more: only no cursor means the end."""

    dead_letters: list[DeadLetterForm]
    cursor: str | None


class DeadLetterAnswer(WireModel):
    """One dead letter."""

    dead_letter: FullDeadLetter


class LetterResult(WireModel):
    """What happened to a dead letter: the partition that its record was sent to, or why it was refused."""

    id: str
    to: str | None
    refusal: Refusal | None


class LetterResultAnswer(WireModel):
    """What happened to one dead letter."""

    result: LetterResult


class LettersStepAnswer(WireModel):
    """What happened to some dead letters, and the cursor of the next step; no cursor means that nothing is left."""

    done: int
    refused: int
    results: list[LetterResult]
    cursor: str | None
