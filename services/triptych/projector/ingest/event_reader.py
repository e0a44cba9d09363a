"""Reads the records of the events topic: events, and records of snapshots."""

from triptych.contract.codec.envelope import event_headers
from triptych.contract.codec.events import decode_event
from triptych.contract.snapshots import SNAPSHOT_TYPE_PREFIX
from triptych.kit.kafka.reading.reader import IncomingRecord
from triptych.projector.view.batch import Input
from triptych.projector.view.snapshots import read_snapshot_record

SITES_MAX = 10_000
"""The most sites whose names are remembered."""
_SNAPSHOT_TYPE = SNAPSHOT_TYPE_PREFIX.encode()


class EventReader:
    """Reads records one by one. Sites are few, so each name is decoded once."""

    def __init__(self) -> None:
        self._sites: dict[bytes, str] = {}

    def read(self, record: IncomingRecord) -> tuple[str, Input]:
        """A record's site and content. Raises Undecodable."""
        site, is_snapshot = b"", False
        for name, value in record.headers:
            if name == "ce_siteid":
                site = value
            elif name == "ce_type":
                is_snapshot = bool(value) and value.startswith(_SNAPSHOT_TYPE)  # a header's value may be null
        site_id = self._sites.get(site)
        if site_id is None:
            site_id = event_headers(record.headers).site_id
            if site and len(self._sites) < SITES_MAX:
                self._sites[site] = site_id
        return site_id, read_snapshot_record(record.value) if is_snapshot else decode_event(record.value)
