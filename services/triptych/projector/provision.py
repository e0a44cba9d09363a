"""Gathers the indexes of the projector's collections."""

from collections.abc import Mapping
from datetime import timedelta

from triptych.history import documents as history
from triptych.kit.mongo import fencing
from triptych.kit.mongo.driver import IndexModel
from triptych.projector.ingest import republication
from triptych.readmodel import queries
from triptych.readmodel.versions import FIRST_VERSION


def indexes(
    version: int = FIRST_VERSION, history_retention: timedelta = timedelta(0)
) -> Mapping[str, list[IndexModel]]:
    """The indexes of the projector's collections while this version of the views is active, by collection name.

    Without a retention, the collections of the history are left as they are.
    """
    of_history = history.indexes(history_retention) if history_retention else {}
    return {**queries.indexes(version), **fencing.INDEXES, **republication.INDEXES, **of_history}
