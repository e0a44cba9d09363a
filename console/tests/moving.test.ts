import assert from "node:assert/strict";
import { test } from "node:test";
import { after, gapAt, gapFor, gapOf, moveTo, placeAfter, targetOf, type Move } from "../source/pure/moving.ts";

const ITEMS = [..."abcdefgh"].map((id) => ({ id }));

/** The order after a move, by moving in a list. */
function byList(from: readonly number[], gap: number): string {
  const block = from.map((place) => ITEMS[place]?.id);
  const before = ITEMS.filter((_, place) => place < gap && !from.includes(place)).map(({ id }) => id);
  const behind = ITEMS.filter((_, place) => place >= gap && !from.includes(place)).map(({ id }) => id);
  return [...before, ...block, ...behind].join("");
}

function shown(move: Move<{ id: string }>): string {
  return ITEMS.map((_, index) => {
    const found = after(move, index);
    return "item" in found ? found.item.id : ITEMS[found.was]?.id;
  }).join("");
}

test("every move of every selection shows what moving in a list gives, and the inverse finds each item", () => {
  for (let bits = 1; bits < 1 << ITEMS.length; bits += 1) {
    const from = ITEMS.map((_, place) => place).filter((place) => bits & (1 << place));
    for (let gap = 0; gap <= ITEMS.length; gap += 1) {
      const move = moveTo(from, from.map((place) => ITEMS[place] as { id: string }), gap);
      const expected = byList(from, gap);
      assert.equal(move === null ? "abcdefgh" : shown(move), expected, `${from} to ${gap}`);
      if (move === null) continue;
      for (const [place, { id }] of ITEMS.entries()) assert.equal(expected[placeAfter(move, place)], id);
      const target = targetOf(move, ITEMS.length, (place) => ITEMS[place]?.id);
      const next = expected[move.to + from.length];
      if (move.to === 0) assert.deepEqual(target, { to: "start" });
      else assert.deepEqual(target, next === undefined ? { to: "end" } : { before: next });
    }
  }
});

test("the order of the selection does not matter, and a follower that is not known has no target", () => {
  const move = moveTo([3, 1], [ITEMS[3], ITEMS[1]], 8);
  assert.deepEqual(move?.block.map((item) => item?.id), ["b", "d"]);
  const far = moveTo([0], [ITEMS[0]], 500);
  assert.ok(far);
  assert.equal(targetOf(far, 1_000, () => undefined), null);
});

test("keys move by a place, a row, or to an end", () => {
  const cases: [string, number[], number | null][] = [
    ["ArrowLeft", [4, 5], 3], ["ArrowRight", [4, 5], 7], ["ArrowUp", [4], 1], ["ArrowDown", [4], 8], ["Home", [4], 0],
    ["End", [4], 20], ["ArrowLeft", [0], 0], ["ArrowUp", [1], 0], ["ArrowDown", [19], 20], ["a", [4], null],
  ];
  for (const [key, places, gap] of cases) assert.equal(gapOf(key, places, 20, 3), gap, `${key} ${places}`);
});

test("a place is reached whatever else is selected", () => {
  for (const [place, places, expected] of [[0, [3], "dabcefgh"], [2, [0], "bcadefgh"], [7, [0], "bcdefgha"],
    [1, [0, 4, 5], "baefcdgh"], [4, [4], "abcdefgh"]] as const) {
    assert.equal(byList(places, gapFor(place, places)), expected);
  }
});

test("a point of the grid is nearest to a gap", () => {
  const grid = { columns: 4, width: 400, rowHeight: 100, total: 10 };
  const cases: [number, number, number][] = [
    [0, 0, 0], [40, 50, 0], [60, 50, 1], [399, 50, 4], [10, 150, 4], [399, 250, 10], [10, 900, 10], [-5, -5, 0],
  ];
  for (const [x, y, gap] of cases) assert.equal(gapAt(x, y, grid), gap, `${x} ${y}`);
});
