"""Between two scans for due deliveries, the relay pauses in proportion to the scan, within limits."""

import pytest

from triptych.webhooks.relay.claiming import pause_after_scan


@pytest.mark.parametrize(
    ("took", "pause"),
    [(0.0, 1.0), (0.05, 1.0), (0.3, 3.0), (20.0, 5.0)],
    ids=["nothing", "short", "long", "while MongoDB stood still"],
)
def test_a_scan_that_waited_does_not_put_off_the_next_for_minutes(took: float, pause: float) -> None:
    assert pause_after_scan(took) == pytest.approx(pause)
