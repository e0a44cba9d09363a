"""The domain agrees with a naive reference of the contract, driven by Hypothesis.

The reference has plain lists in display order; it reads sort orders only after a command that asks for one.
"""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from tests.support.command_domain import World
from tests.support.volume import examples
from triptych.contract.replies import Reply
from triptych.writemodel.galleries import Status

TEXT: dict[str, Any] = {"text": {"html": "x"}}
explicit = st.integers(-2, 2).map(float)
titles = st.sampled_from(["a", "b", None])


@dataclass
class Gallery:
    """The expected state of a gallery: items in display order, and their titles."""

    name: str | None
    items: list[str] = field(default_factory=list)
    titles: dict[str, str | None] = field(default_factory=dict)
    sequence: int = 0


class Galleries(RuleBasedStateMachine):
    """Random commands; after each, the write model, the events and the reply agree with the reference."""

    galleries = Bundle("galleries")

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.expected: dict[str, Gallery] = {}

    @initialize(target=galleries)
    def first_gallery(self) -> str:
        return self._create(None, [])

    @rule(target=galleries, name=titles, items=st.lists(titles, max_size=4))
    def create(self, name: str | None, items: list[str | None]) -> str:
        return self._create(name, items)

    @rule(target=galleries, source=galleries)
    def clone(self, source: str) -> str:
        reply = self.world.send("CreateGallery", {"cloneFromGalleryId": source})
        assert reply.gallery_id
        if source not in self.expected:
            self._is_refused(reply, "NOT_FOUND")
            return source
        original = self.expected[source]
        copied = list(reply.item_ids or [])
        titles_of = dict(zip(copied, (original.titles[item] for item in original.items), strict=True))
        self.expected[reply.gallery_id] = Gallery(original.name, copied, titles_of, 1 + len(copied))
        return reply.gallery_id

    @rule(gallery=galleries, added=st.lists(titles, min_size=1, max_size=4), to=st.sampled_from([None, "start", "end"]))
    def add_items(self, gallery: str, added: list[str | None], to: str | None) -> None:
        data = {"galleryId": gallery, "items": [{**TEXT, "title": title} for title in added], "to": to}
        reply = self.world.send("CreateItems", data)
        if model := self._existing(gallery, reply):
            ids = list(reply.item_ids or [])
            # New items are shown first, unless an item has a sort order above them.
            model.items = model.items + ids if to == "end" else ids + model.items
            model.titles.update(zip(ids, added, strict=True))
            model.sequence += len(ids)

    @rule(gallery=galleries, sort_order=explicit)
    def add_at(self, gallery: str, sort_order: float) -> None:
        reply = self.world.send("CreateItems", {"galleryId": gallery, "items": [{**TEXT, "sortOrder": sort_order}]})
        model = self.expected.get(gallery)
        if model and self._is_taken(model, sort_order):
            self._is_refused(reply, "ALREADY_EXISTS")
        elif model := self._existing(gallery, reply):
            (item,) = reply.item_ids or []
            model.titles[item] = None
            model.items.append(item)
            self._resort(gallery, model)
            model.sequence += 1

    @rule(gallery=galleries, index=st.integers(0, 4), title=titles)
    def retitle(self, gallery: str, index: int, title: str | None) -> None:
        item = self._item(gallery, index)
        reply = self.world.send("UpdateItem", {"galleryId": gallery, "itemId": item, "item": {"title": title}})
        model = self.expected.get(gallery)
        if model and item not in model.items:
            self._is_refused(reply, "NOT_FOUND")
        elif model := self._existing(gallery, reply):
            model.titles[item] = title
            model.sequence += 1

    @rule(gallery=galleries, index=st.integers(0, 4), neighbour=st.integers(0, 4), where=st.sampled_from("<>se"))
    def move(self, gallery: str, index: int, neighbour: int, where: str) -> None:
        item, other = self._item(gallery, index), self._item(gallery, neighbour)
        if item == other and where in "<>":
            return
        sort_order: dict[str, str] = {
            "s": {"to": "start"},
            "e": {"to": "end"},
            "<": {"before": other},
            ">": {"after": other},
        }[where]
        reply = self.world.send("MoveItem", {"galleryId": gallery, "itemId": item, **sort_order})
        model = self.expected.get(gallery)
        if model and (item not in model.items or (where in "<>" and other not in model.items)):
            self._is_refused(reply, "NOT_FOUND")
        elif model := self._existing(gallery, reply):
            others = [kept for kept in model.items if kept != item]
            position = {"s": 0, "e": len(others)}.get(where)
            if position is None:
                position = others.index(other) + (where == ">")
            model.items = [*others[:position], item, *others[position:]]
            assert reply.sequence is not None
            model.sequence = reply.sequence

    @rule(
        gallery=galleries,
        indexes=st.lists(st.integers(0, 4), min_size=1, max_size=4, unique=True),
        neighbour=st.integers(0, 4),
        where=st.sampled_from("<>se"),
    )
    def move_several(self, gallery: str, indexes: list[int], neighbour: int, where: str) -> None:
        block, other = [self._item(gallery, index) for index in indexes], self._item(gallery, neighbour)
        if other in block and where in "<>":
            return
        target: dict[str, str] = {
            "s": {"to": "start"},
            "e": {"to": "end"},
            "<": {"before": other},
            ">": {"after": other},
        }[where]
        reply = self.world.send("MoveItems", {"galleryId": gallery, "itemIds": block, **target})
        model = self.expected.get(gallery)
        needed = {*block, *([other] if where in "<>" else [])}
        if model and not needed <= set(model.items):
            self._is_refused(reply, "NOT_FOUND")
        elif model := self._existing(gallery, reply):
            others = [kept for kept in model.items if kept not in block]
            position = {"s": 0, "e": len(others)}.get(where)
            if position is None:
                position = others.index(other) + (where == ">")
            model.items = [*others[:position], *block, *others[position:]]
            assert set(reply.item_ids or []) <= set(block)
            assert reply.sequence is not None
            model.sequence = reply.sequence

    @rule(gallery=galleries, indexes=st.lists(st.integers(0, 4), min_size=1, max_size=4))
    def delete_items(self, gallery: str, indexes: list[int]) -> None:
        ids = [self._item(gallery, index) for index in indexes]
        reply = self.world.send("DeleteItems", {"galleryId": gallery, "itemIds": ids})
        if model := self._existing(gallery, reply):
            gone = [item for item in dict.fromkeys(ids) if item in model.items]
            assert reply.item_ids == gone
            self._forget(model, gone)
            model.sequence += len(gone)

    @rule(gallery=galleries, name=titles, index=st.integers(0, 4), title=titles)
    def update_gallery(self, gallery: str, name: str | None, index: int, title: str | None) -> None:
        item = self._item(gallery, index)
        entries = [{"id": item, "title": title, **TEXT}, {**TEXT, "title": "new"}]
        reply = self.world.send("UpdateGallery", {"galleryId": gallery, "gallery": {"name": name, "items": entries}})
        if model := self._existing(gallery, reply):
            first, second = reply.item_ids or []
            fresh = [created for created in (first, second) if created not in model.items]
            assert (first == item) == (item in model.items)
            model.name = name
            model.items = fresh + model.items
            model.titles.update({first: title, second: "new"})
            model.sequence += 3

    @rule(gallery=galleries)
    def clear(self, gallery: str) -> None:
        reply = self.world.send("ClearGallery", {"galleryId": gallery})
        if model := self._existing(gallery, reply):
            model.sequence += len(model.items)
            self._forget(model, list(model.items))

    @rule(gallery=galleries)
    def rebalance(self, gallery: str) -> None:
        reply = self.world.send("RebalanceItems", {"galleryId": gallery})
        if model := self._existing(gallery, reply):
            model.sequence += len(model.items)

    @rule(gallery=galleries)
    def republish(self, gallery: str) -> None:
        reply = self.world.send("RepublishGallery", {"galleryId": gallery})
        self._existing(gallery, reply)

    @rule(gallery=galleries)
    def delete(self, gallery: str) -> None:
        reply = self.world.send("DeleteGallery", {"galleryId": gallery})
        if self._existing(gallery, reply):
            del self.expected[gallery]

    @rule(gallery=galleries, offset=st.sampled_from([-1, 1]))
    def expecting_another_sequence(self, gallery: str, offset: int) -> None:
        model = self.expected.get(gallery)
        if model and model.sequence + offset >= 0:
            data = {"galleryId": gallery, "expectedSequence": model.sequence + offset}
            reply = self.world.send("ClearGallery", data)
            self._is_refused(reply, "SEQUENCE_CONFLICT")
            assert reply.error is not None
            assert reply.error.data == {"sequence": model.sequence}

    @rule(milliseconds=st.integers(-5, 5))
    def time_passes(self, milliseconds: int) -> None:
        self.world.tick(milliseconds)

    @invariant()
    def state_is_as_expected(self) -> None:
        for gallery_id, model in self.expected.items():
            head = self.world.unit.heads[gallery_id]
            assert head is not None
            assert (head.name, head.total_items, head.sequence) == (model.name, len(model.items), model.sequence)
            assert self.world.order(gallery_id) == model.items
            for item_id in model.items:
                item = self.world.item(item_id)
                assert item is not None
                assert item.body.get("title") == model.titles[item_id]
                assert item.body["sortOrder"] == item.sort_order
        for gallery_id, head in self.world.unit.heads.items():
            assert (gallery_id in self.expected) == (head is not None and head.status is Status.LIVE)

    @invariant()
    def events_are_gapless_and_fold_to_the_state(self) -> None:
        sequences: dict[str, int] = {}
        items: dict[str, set[str]] = {}
        for event in self.world.events:
            gallery_id, sequence = event["entityId"], int(event["entityEventSequence"])
            assert sequence == sequences.get(gallery_id, 0) + 1
            sequences[gallery_id] = sequence
            body = event.get("actionEvent", {}).get("body", {})
            present = items.setdefault(gallery_id, set())
            if "itemId" in body:
                present.remove(body["itemId"])
            elif body:
                present.add((body.get("item") or body["updatedItem"])["id"])
        for gallery_id, model in self.expected.items():
            assert sequences[gallery_id] == model.sequence
            assert items[gallery_id] == set(model.items)

    def _create(self, name: str | None, items: list[str | None]) -> str:
        data = {"gallery": {"name": name, "items": [{**TEXT, "title": title} for title in items]}}
        reply = self.world.send("CreateGallery", data)
        assert reply.gallery_id
        ids = list(reply.item_ids or [])
        named = dict(zip(ids, items, strict=True))
        self.expected[reply.gallery_id] = Gallery(name, ids, named, 1 + len(ids))
        return reply.gallery_id

    def _existing(self, gallery: str, reply: Reply) -> Gallery | None:
        model = self.expected.get(gallery)
        if model is None:
            self._is_refused(reply, "NOT_FOUND")
        else:
            assert reply.outcome == "accepted", reply
        return model

    def _is_refused(self, reply: Reply, code: str) -> None:
        assert reply.error is not None
        assert reply.error.code == code

    def _item(self, gallery: str, index: int) -> str:
        model = self.expected.get(gallery)
        if model and index < len(model.items):
            return model.items[index]
        return f"00000000-0000-4000-8000-{index:012d}"

    def _is_taken(self, model: Gallery, sort_order: float) -> bool:
        return any(item and item.sort_order == sort_order for item in map(self.world.item, model.items))

    def _resort(self, gallery: str, model: Gallery) -> None:
        sort_orders = {item: stored.sort_order for item in model.items if (stored := self.world.item(item))}
        model.items.sort(key=lambda item: -sort_orders[item])

    def _forget(self, model: Gallery, gone: list[str]) -> None:
        model.items = [item for item in model.items if item not in gone]
        for item in gone:
            del model.titles[item]


TestGalleries = Galleries.TestCase
TestGalleries.settings = settings(max_examples=examples(30), stateful_step_count=50, deadline=None, derandomize=True)
