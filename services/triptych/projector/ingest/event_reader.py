"""Reads the records of the events topic: events, and records of snapshots."""

from collections.abc import Sequence
from typing import NamedTuple

from triptych.contract.codec.cloudevents import Undecodable
from triptych.contract.codec.envelope import event_headers
from triptych.contract.codec.events import decode_event
from triptych.contract.snapshots import SNAPSHOT_TYPE_PREFIX
from triptych.kit.kafka.reading.reader import IncomingRecord
from triptych.kit.kafka.transit import REPLAY
from triptych.projector.join.notices import Wanted
from triptych.projector.view.batch import Input
from triptych.projector.view.snapshots import read_snapshot_record

SITES_MAX = 10_000
"""The most sites whose names are remembered."""
_SNAPSHOT_TYPE = SNAPSHOT_TYPE_PREFIX.encode()


class ReadRecords(NamedTuple):
    """The content of several records.

    Attributes:
        inputs: the site and content of each record that can be read.
        sources: these records.
        refused: the other records, each with the reason and the error in words.
        wanted: the notices that gateways wait for.
        replays: the indexes of the inputs that are replayed dead letters.
    """

    inputs: list[tuple[str, Input]]
    sources: list[IncomingRecord]
    refused: list[tuple[IncomingRecord, str, str]]
    wanted: list[Wanted]
    replays: list[int]


class EventReader:
    """Reads records. Sites are few, so each name is decoded once."""

    def __init__(self) -> None:
        self._sites: dict[bytes, str] = {}

    def read_all(self, records: Sequence[IncomingRecord]) -> ReadRecords:
        """The content of records, in order."""
        found = ReadRecords([], [], [], [], [])
        for record in records:
            try:
                self._read(record, found)
            except Undecodable as error:
                found.refused.append((record, error.reason, error.text))
        return found

    def _read(self, record: IncomingRecord, found: ReadRecords) -> None:
        """Add a record's content, and what its headers ask for. Raises Undecodable before anything is added."""
        site, is_snapshot, is_replay, notice_to = b"", False, False, None
        for name, value in record.headers:
            if name == "ce_siteid":
                site = value
            elif name == "ce_noticeto":
                notice_to = value
            elif name == "ce_type":
                is_snapshot = bool(value) and value.startswith(_SNAPSHOT_TYPE)  # a header's value may be null
            elif name == REPLAY:
                is_replay = True
        site_id = self._sites.get(site)
        if site_id is None:
            site_id = event_headers(record.headers).site_id
            if site and len(self._sites) < SITES_MAX:
                self._sites[site] = site_id
        entry = read_snapshot_record(record.value) if is_snapshot else decode_event(record.value)
        if is_replay:
            found.replays.append(len(found.inputs))
        found.inputs.append((site_id, entry))
        found.sources.append(record)
        if notice_to is not None:
            found.wanted.append(Wanted(notice_to, entry.gallery_id, entry.item_id))
