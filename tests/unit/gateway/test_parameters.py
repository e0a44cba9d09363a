"""Parameters of pages, and idempotency keys."""

import pytest
from pydantic import ValidationError

from triptych.gateway.api.parameters import GalleriesPageQuery, ItemsPageQuery, check_idempotency_key
from triptych.gateway.http.errors import InvalidRequest


def test_defaults_of_the_contract() -> None:
    assert GalleriesPageQuery().model_dump() == {"limit": 10, "offset": 0, "item_limit": 10}
    assert ItemsPageQuery().model_dump() == {"item_limit": 50, "item_offset": 0}


@pytest.mark.parametrize(
    ("page", "field", "low", "high"),
    [
        (GalleriesPageQuery, "limit", 1, 10),
        (GalleriesPageQuery, "itemLimit", 1, 100),
        (GalleriesPageQuery, "offset", 0, 2**31 - 1),
        (ItemsPageQuery, "itemLimit", 1, 200),
        (ItemsPageQuery, "itemOffset", 0, 2**31 - 1),
    ],
)
def test_bounds(page: type[GalleriesPageQuery | ItemsPageQuery], field: str, low: int, high: int) -> None:
    for inside in (low, high):
        assert page.model_validate({field: str(inside)}).to_wire()[field] == inside
    for outside in (low - 1, high + 1):
        with pytest.raises(ValidationError):
            page.model_validate({field: str(outside)})


def test_idempotency_keys_are_printable() -> None:
    assert check_idempotency_key(["order 7/a"]) == "order 7/a"
    for keys in ([""], ["a" * 256], ["tab\there"], ["caf\xe9"], ["a", "b"], ["a", "a"]):
        with pytest.raises(InvalidRequest):
            check_idempotency_key(keys)
