"""Limits on the size of events: everything made from an accepted event must fit into every store and topic.

`triptych.contract.sizes` has the limits on commands.

A topic's limit counts compressed bytes, so a record just below it can expand to gigabytes. These limits count
uncompressed bytes.
"""

from triptych.contract.item import ITEM_BYTES_MAX

EVENT_BYTES_MAX = 2 * ITEM_BYTES_MAX
"""The value of an event or a snapshot record: an item and the fields around it. The joined records and deliveries that
are made from it fit into a message of 1 MB even without compression."""

PATH_MAX = 500
"""Characters of a field path in a violation, since keys of free-form objects can have any length."""
