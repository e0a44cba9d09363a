"""Every index that listeners and their deliveries rely on; gateway, relay and `triptych provision` create them."""

from collections.abc import Mapping

from triptych.kit.mongo.driver import IndexModel
from triptych.webhooks.store import delivery_documents as deliveries
from triptych.webhooks.store import listeners as repository
from triptych.webhooks.store import operational_events as operations

INDEXES: Mapping[str, list[IndexModel]] = {**repository.INDEXES, **deliveries.INDEXES, **operations.INDEXES}
