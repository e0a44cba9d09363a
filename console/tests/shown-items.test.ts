import assert from "node:assert/strict";
import { test } from "node:test";
import { moveTo } from "../source/pure/moving.ts";
import { only, rangeOf, ranged, SELECTED_MAX, toggled } from "../source/pure/selection.ts";
import { ShownItems } from "../source/pure/shown-items.ts";

const items = (ids: string) => [...ids].map((id) => ({ id }));
const order = (shown: ShownItems<{ id: string }>) => [0, 1, 2, 3, 4].map((index) => shown.at(index)?.id).join("");

function read(ids = "abcde"): ShownItems<{ id: string }> {
  const shown = new ShownItems<{ id: string }>();
  shown.store([[0, items(ids)]], shown.pages.generation);
  return shown;
}

function begin(shown: ShownItems<{ id: string }>, id: string, gap: number) {
  const place = shown.placesOf(new Set([id])).get(id) ?? -1;
  const move = moveTo([place], items(id), gap);
  assert.ok(move);
  return shown.begin(move);
}

test("moves are shown one after another, until the pages show them", () => {
  const shown = read();
  const first = begin(shown, "a", 5);
  assert.equal(order(shown), "bcdea");
  const second = begin(shown, "e", 0);
  assert.equal(order(shown), "ebcda");
  assert.deepEqual([...shown.placesOf(new Set(["a", "e", "x"]))], [["a", 4], ["e", 0]]);
  first(true);
  assert.ok(shown.isWaiting);
  second(true);
  assert.ok(!shown.isWaiting);
  assert.deepEqual(shown.pages.needed(0, 5), [0]);
  shown.store([[0, items("ebcda")]], shown.pages.generation);
  assert.equal(order(shown), "ebcda");
});

test("a move that failed is taken back, and a read that began before a move is known by its number", () => {
  const shown = read();
  const { begun } = shown;
  const end = begin(shown, "c", 0);
  assert.equal(order(shown), "cabde");
  assert.notEqual(shown.begun, begun);
  end(false);
  assert.equal(order(shown), "abcde");
});

test("clicks select one, one more, or a range of at most as many as the gateway moves at once", () => {
  const one = only("a", 3);
  assert.deepEqual([...toggled(one, "b", 5).ids], ["a", "b"]);
  assert.deepEqual([...toggled(one, "a", 3).ids], []);
  assert.deepEqual(rangeOf(3, 5), { first: 3, end: 6 });
  assert.deepEqual(rangeOf(5, 3), { first: 3, end: 6 });
  assert.deepEqual(rangeOf(0, 5_000), { first: 0, end: SELECTED_MAX });
  assert.deepEqual(rangeOf(5_000, 0), { first: 4_001, end: 5_001 });
  assert.deepEqual(ranged(one, ["x", "y"]), { ids: new Set(["x", "y"]), anchor: 3 });
});
