"""Judges deliveries and sites (I6, I7, I8): each event has an end, at its own site, at allowed addresses only."""

from collections.abc import Iterator

from tests.support.chaos.history import Event, History, Violation

ENDS = frozenset({"delivered", "dead", "cancelled", "expired"})


def check(history: History) -> Iterator[Violation]:
    """Violations of I6, I7 and I8."""
    by_id: dict[str, Event] = {}
    for event in history.events:
        by_id.setdefault(event.id, event)
    arrived = {delivery.event for delivery in history.deliveries if delivery.has_succeeded}
    for event in by_id.values():
        if event.site not in history.listening:
            continue
        outcome = history.outcomes.get(event.id)
        if outcome not in ENDS:
            what = f"the delivery of {event.id} has no end ({outcome}):"
            yield Violation("I6", what, event.gallery, event.sequence, (event.place,))
        elif outcome == "delivered" and event.id not in arrived:
            what = f"{event.id} is listed as delivered, but did not arrive:"
            yield Violation("I6", what, event.gallery, event.sequence, (event.place,))
    for delivery in history.deliveries:
        found = by_id.get(delivery.event)
        if not delivery.is_allowed:
            yield Violation("I7", f"{delivery.event} was posted to an address that is forbidden")
        if found is None:
            yield Violation("I6", f"{delivery.event} was delivered, but is not on the topic")
        elif delivery.site != found.site:
            what = f"{found.id} of the site {found.site} was delivered to the site {delivery.site}:"
            yield Violation("I8", what, found.gallery, found.sequence, (found.place,))
        elif delivery.value != {name: value for name, value in found.value.items() if name != "eventType"}:
            what = f"{found.id} was delivered with other content:"
            yield Violation("I6", what, found.gallery, found.sequence, (found.place,))
    yield from _sites(history)


def _sites(history: History) -> Iterator[Violation]:
    sites = {command.id: command.site for command in history.commands}
    owners: dict[str, Event] = {}
    for event in history.events:
        owner = owners.setdefault(event.gallery, event)
        if event.site != owner.site or event.site != sites.get(event.cause, event.site):
            what = f"an event of the site {event.site} in a gallery of the site {owner.site}:"
            yield Violation("I8", what, event.gallery, event.sequence, (owner.place, event.place))
    for read in history.foreign_reads:
        for gallery in read.galleries:
            owned_by = owners.get(gallery)
            if owned_by is not None and owned_by.site != read.site:
                yield Violation("I8", f"the site {read.site} was shown a gallery of {owned_by.site}:", gallery)
