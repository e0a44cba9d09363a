"""Collects the indexes of listeners and deliveries. Gateway, relay and `triptych provision` create them."""

from collections.abc import Mapping

from triptych.kit.mongo.driver import IndexModel
from triptych.webhooks.store import delivery_documents, listeners, operational_events

INDEXES: Mapping[str, list[IndexModel]] = {
    **listeners.INDEXES,
    **delivery_documents.INDEXES,
    **operational_events.INDEXES,
}
