"""How large events may be: whatever is accepted must fit all that is made of it, in every store and topic.

For commands see `triptych.contract.sizes`.

A topic's limit counts compressed bytes, so a record just below it can hold gigabytes. These limits count bytes as they
are read.
"""

from triptych.contract.item import ITEM_BYTES_MAX

EVENT_BYTES_MAX = 2 * ITEM_BYTES_MAX
"""The value of an event or of a snapshot's part: an item and what surrounds it. The joined records and deliveries that
follow from it fit a message of 1 MB even if nothing can be compressed."""

PATH_MAX = 500
"""Characters of a field's path in a violation: keys of free-form objects are as long as their sender likes."""
