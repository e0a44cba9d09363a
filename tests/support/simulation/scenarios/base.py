"""Names the scenarios, and has what they share."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias

from pymongo import ASCENDING
from pymongo.errors import PyMongoError

Scenario: TypeAlias = Callable[[Any, Any], Awaitable[Any]]
SCENARIOS: dict[str, Scenario] = {}
"""By name."""
AT = datetime(2025, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


def scenario(function: Scenario) -> Scenario:
    """Name a scenario by its function."""
    SCENARIOS[function.__name__] = function
    return function


async def outcome(work: Awaitable[Any]) -> Any:
    """What the work has returned, or the kind of its error: class, code, labels, and codes of single writes."""
    try:
        done = await work
    except PyMongoError as error:
        details = getattr(error, "details", None) or {}
        labels = [one for one in ("TransientTransactionError",) if error.has_error_label(one)]
        writes = [(one["index"], one["code"]) for one in details.get("writeErrors", ())]
        return type(error).__name__, getattr(error, "code", None), labels, writes
    except Exception as error:  # noqa: BLE001 - of the product
        return type(error).__name__
    counts = ("matched_count", "modified_count", "deleted_count")
    return {name: getattr(done, name, None) for name in counts if isinstance(getattr(done, name, None), int)} or "done"


async def everything(collection: Any, **options: Any) -> list[Any]:
    """All documents by id."""
    found: list[Any] = await collection.find({}, **options).sort("_id", ASCENDING).to_list(None)
    return found
