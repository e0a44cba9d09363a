"""Every index that listeners and their deliveries rely on; gateway, relay and `triptych provision` create them."""

from collections.abc import Mapping

from services.kit.mongo import IndexModel
from services.listeners import deliveries, operations, repository

INDEXES: Mapping[str, list[IndexModel]] = {**repository.INDEXES, **deliveries.INDEXES, **operations.INDEXES}
