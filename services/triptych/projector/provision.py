"""Gathers the indexes of the projector's collections."""

from collections.abc import Mapping

from triptych.kit.mongo import fencing
from triptych.kit.mongo.driver import IndexModel
from triptych.projector.ingest import republication
from triptych.readmodel import queries
from triptych.readmodel.versions import FIRST_VERSION


def indexes(version: int = FIRST_VERSION) -> Mapping[str, list[IndexModel]]:
    """The indexes of the projector's collections while this version of the views is active, by collection name."""
    return {**queries.indexes(version), **fencing.INDEXES, **republication.INDEXES}
