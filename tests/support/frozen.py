"""Excludes from garbage collection what this process has imported, for the sake of its forks.

Each service collects garbage once when it starts. In a fork that would take a tenth of a second, and copy the memory
that it shares with the other forks.
"""

import gc

gc.collect()
gc.freeze()
