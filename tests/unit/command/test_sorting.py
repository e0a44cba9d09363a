"""Raw records are sorted: carried out here, forwarded, answered or dead-lettered."""

from typing import Any

from aiokafka import ConsumerRecord

from tests.support.commands import SOURCE, TEXT, structured
from triptych.command.flow.sorting import SortedRecords, refuse_forwards, sort_records
from triptych.contract.codec.envelope import DEFAULT_SITE_ID
from triptych.contract.identity import derived_gallery_id
from triptych.contract.replies import ReplyError
from triptych.contract.sizes import COMMAND_BYTES_MAX
from triptych.kit.kafka.layout import TopicLayout
from triptych.kit.kafka.partitions import partition_of
from triptych.kit.kafka.transit import FORWARDED, REPLAY

PARTITIONS = 6
GALLERY = "10000000-0000-4000-8000-000000000000"
HOME = partition_of(GALLERY.encode(), PARTITIONS)


def record(
    value: bytes | None, partition: int = HOME, headers: tuple[tuple[str, bytes], ...] = ()
) -> ConsumerRecord[Any, Any]:
    return ConsumerRecord("commands", partition, 7, 0, 0, b"key", value, None, 0, 0, headers)


def sort(*records: ConsumerRecord[Any, Any]) -> SortedRecords:
    return sort_records(records, PARTITIONS, DEFAULT_SITE_ID)


def sort_grown(record: ConsumerRecord[Any, Any], end: int) -> SortedRecords:
    """Sort after partitions were added; each former partition ended at `end`."""
    layout = TopicLayout(PARTITIONS, ((PARTITIONS // 2, dict.fromkeys(range(PARTITIONS // 2), end)),))
    return sort_records([record], PARTITIONS, DEFAULT_SITE_ID, layout)


def rules(error: ReplyError) -> list[str]:
    return [violation.violated_rule for violation in error.violations]


def test_a_command_on_its_gallerys_partition_is_carried_out_and_keeps_its_record() -> None:
    value = structured("ClearGallery", {"galleryId": GALLERY}, id="c")
    (command,) = sort(record(value)).commands
    assert (command.partition, command.gallery_id, command.envelope.command_id) == (HOME, GALLERY, "c")
    assert (command.record.offset, command.record.key, command.record.value) == (7, b"key", value)


def test_a_command_elsewhere_is_forwarded_unchanged_but_for_where_it_came_from() -> None:
    value = structured("ClearGallery", {"galleryId": GALLERY})
    elsewhere = (HOME + 1) % PARTITIONS
    ((forward, _, _),) = sort(record(value, elsewhere, (("traceparent", b"t"),))).forwards
    assert (forward.partition, forward.key, forward.value) == (HOME, b"key", value)
    assert forward.headers == (("traceparent", b"t"), (FORWARDED, f"commands-{elsewhere}@7".encode()))


def test_a_command_too_large_to_be_forwarded_is_answered_and_dead_lettered() -> None:
    elsewhere = (HOME + 1) % PARTITIONS
    values = [structured("ClearGallery", {"galleryId": GALLERY}, id=f"c{number}", siteid="s") for number in range(3)]
    sorted_records = sort(*(record(value, elsewhere) for value in values))
    refuse_forwards(sorted_records, {1})
    assert [forward.envelope.command_id for forward in sorted_records.forwards] == ["c0", "c2"]
    ((refused, reason, _),) = sorted_records.refused
    assert (refused.value, reason) == (values[1], "TOO_LARGE")
    (answer,) = sorted_records.replies
    assert answer.reply.error is not None
    assert (answer.site_id, answer.reply.command_id, rules(answer.reply.error)) == ("s", "c1", ["MAX_SIZE"])


def test_a_forwarded_record_is_not_forwarded_again() -> None:
    value = structured("ClearGallery", {"galleryId": GALLERY}, id="c")
    sorted_records = sort(record(value, (HOME + 1) % PARTITIONS, ((FORWARDED, b"x"),)))
    assert not sorted_records.forwards
    assert [reason for _, reason, _ in sorted_records.refused] == ["misplaced"]
    assert [answer.reply.command_id for answer in sorted_records.replies] == ["c"]


def test_a_creation_without_id_belongs_where_its_derived_id_does() -> None:
    gallery_id = derived_gallery_id(DEFAULT_SITE_ID, "c", SOURCE)
    home = partition_of(gallery_id.encode(), PARTITIONS)
    (command,) = sort(record(structured("CreateGallery", {}, id="c"), home)).commands
    assert command.gallery_id == gallery_id


def test_a_broken_rule_is_answered_and_not_dead_lettered() -> None:
    value = structured("CreateItems", {"galleryId": GALLERY, "items": []}, id="c", siteid="s", correlationid="r")
    sorted_records = sort(record(value))
    (answer,) = sorted_records.replies
    assert (answer.site_id, answer.correlation_id, answer.reply.gallery_id) == ("s", "r", GALLERY)
    assert answer.reply.error is not None
    assert [violation.field for violation in answer.reply.error.violations] == ["items"]
    assert not sorted_records.refused


def test_an_unreadable_record_is_dead_lettered_and_answered_only_if_it_has_a_command_id() -> None:
    unknown = structured("Nonsense", {}, id="u")
    sorted_records = sort(record(b"{"), record(None), record(unknown))
    assert [reason for _, reason, _ in sorted_records.refused] == ["NOT_JSON", "TOMBSTONE", "UNKNOWN_TYPE"]
    (answer,) = sorted_records.replies
    assert answer.reply.command_id == "u"
    assert answer.reply.error is not None
    assert answer.reply.error.code == "UNIMPLEMENTED"


def test_neighbours_keep_their_order() -> None:
    adds = [structured("CreateItems", {"galleryId": GALLERY, "items": [TEXT]}, id=str(number)) for number in range(5)]
    sorted_records = sort(record(adds[0]), record(b"{"), *(record(add) for add in adds[1:]))
    assert [command.envelope.command_id for command in sorted_records.commands] == ["0", "1", "2", "3", "4"]


LARGE = b" " * COMMAND_BYTES_MAX


def is_refused_for_its_size(sorted_records: SortedRecords, command_id: str) -> bool:
    """Whether the only record is rejected with its command id, and nothing else happens."""
    (answer,) = sorted_records.replies
    assert answer.reply.error is not None
    (violation,) = answer.reply.error.violations
    return (
        not (sorted_records.refused or sorted_records.commands or sorted_records.forwards)
        and (answer.reply.command_id, answer.reply.error.code) == (command_id, "INVALID_ARGUMENT")
        and (violation.violated_rule, violation.data) == ("MAX_SIZE", {"threshold": COMMAND_BYTES_MAX})
    )


def test_a_command_too_large_to_be_stored_is_refused_by_name_in_either_mode() -> None:
    value = structured("ClearGallery", {"galleryId": GALLERY}, id="c")
    assert is_refused_for_its_size(sort(record(value + LARGE)), "c")
    assert is_refused_for_its_size(sort(record(b"{" + LARGE + value[1:])), "c")
    headers = (("ce_specversion", b"1.0"), ("ce_id", b"d"), ("ce_type", b"triptych.command.v1.ClearGallery"))
    assert is_refused_for_its_size(sort(record(LARGE + b" ", headers=headers)), "d")
    assert is_refused_for_its_size(sort(record(b"{}", headers=(*headers, ("x", LARGE)))), "d")
    assert is_refused_for_its_size(sort(record(b"{}", headers=(*headers, *[("x", b"")] * 300_000))), "d")


def test_a_too_large_record_of_an_unknown_sender_is_dead_lettered() -> None:
    headers = (("ce_specversion", b"1.0"), ("x", LARGE))
    assert [reason for _, reason, _ in sort(record(b"{}", headers=headers)).refused] == ["TOO_LARGE"]
    assert [reason for _, reason, _ in sort(record(LARGE + b"{")).refused] == ["NOT_JSON"]


def test_a_command_of_exactly_the_largest_size_is_carried_out() -> None:
    value = structured("ClearGallery", {"galleryId": GALLERY}, id="c")
    largest = value + b" " * (COMMAND_BYTES_MAX - len(value) - len(b"key"))
    # What is added on its way must not refuse it.
    for headers in ((), ((FORWARDED, b"commands-1@7"),), ((REPLAY, b"1 l-0@0 commands-1@7 0"),)):
        (command,) = sort(record(largest, headers=headers)).commands
        assert command.envelope.command_id == "c"


def test_a_replayed_command_that_is_rejected_is_counted() -> None:
    value = structured("ClearGallery", {}, id="c")
    found = sort(record(value, headers=((REPLAY, b"1 l-0@0 commands-1@7 0"),)), record(value))
    assert (len(found.replies), found.rejected_replays) == (2, 1)


def test_a_command_from_before_partitions_were_added_is_carried_out_on_its_former_partition() -> None:
    former = PARTITIONS // 2
    gallery_id = next(
        id_
        for number in range(100)
        if partition_of((id_ := f"{number:08}{GALLERY[8:]}").encode(), PARTITIONS) >= former
    )
    home = partition_of(gallery_id.encode(), PARTITIONS)
    value = structured("ClearGallery", {"galleryId": gallery_id}, id="c")
    (command,) = sort_grown(record(value, home % former), end=8).commands
    assert command.partition == home % former
    ((forward, _, _),) = sort_grown(record(value, home % former), end=7).forwards
    assert forward.partition == home
    (command,) = sort_grown(record(value, home), end=8).commands
    assert command.partition == home
    # On a wrong partition already before.
    ((forward, _, _),) = sort_grown(record(value, (home + 1) % former), end=8).forwards
    assert forward.partition == home


def test_a_command_that_was_forwarded_by_the_former_number_is_forwarded_once_more() -> None:
    value = structured("ClearGallery", {"galleryId": GALLERY}, id="c")
    elsewhere = (HOME + 1) % PARTITIONS
    ((forward, _, _),) = sort_grown(record(value, elsewhere, ((FORWARDED, b"x"),)), end=0).forwards
    assert [name for name, _ in forward.headers] == [FORWARDED, FORWARDED]
    ((_, reason, _),) = sort_grown(record(value, elsewhere, forward.headers), end=0).refused
    assert reason == "misplaced"
