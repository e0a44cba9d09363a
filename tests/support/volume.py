"""How many generated cases a test goes through: few in an ordinary run, more where somebody waits for them."""

import os

FACTOR = int(os.environ.get("TRIPTYCH_TEST_EXAMPLES", "1"))


def examples(count: int) -> int:
    """The number of cases, multiplied by `TRIPTYCH_TEST_EXAMPLES`."""
    return count * FACTOR
