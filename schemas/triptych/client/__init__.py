"""Library for consumers: builds galleries with items from the joined topic, and snapshots from the events topic."""

from triptych.client.assembly import Snapshot, SnapshotAssembler
from triptych.client.galleries import TOMBSTONE_RETENTION, Galleries, ReadAgain

__all__ = ["TOMBSTONE_RETENTION", "Galleries", "ReadAgain", "Snapshot", "SnapshotAssembler"]
