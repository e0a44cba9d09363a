import assert from "node:assert/strict";
import { test } from "node:test";
import { gridOf, moved } from "../source/pure/window.ts";

test("a grid of 50,000 items shows a screen of them", () => {
  const grid = gridOf(50_000, { width: 640, height: 400, scrolled: 100_000 }, 150, 100);
  assert.deepEqual(grid, { columns: 4, rows: 12_500, first: 3_992, end: 4_024, top: 99_800, height: 1_250_000 });
});

test("a narrow frame has a column, and an end beyond the last item is cut", () => {
  const grid = gridOf(3, { width: 90, height: 400, scrolled: 0 }, 150, 100);
  assert.deepEqual([grid.columns, grid.first, grid.end], [1, 0, 3]);
});

test("a gallery that has become shorter than the place scrolled to shows its end", () => {
  const grid = gridOf(10, { width: 300, height: 400, scrolled: 90_000 }, 150, 100);
  assert.deepEqual([grid.first, grid.end], [6, 10]);
});

test("keys move within the grid", () => {
  const cases: [string, number, number | null][] = [
    ["ArrowRight", 0, 1], ["ArrowLeft", 0, 0], ["ArrowDown", 1, 5], ["ArrowUp", 1, 1], ["ArrowDown", 8, 8],
    ["PageDown", 0, 8], ["End", 3, 9], ["Home", 3, 0], ["Tab", 3, null],
  ];
  for (const [key, from, to] of cases) assert.equal(moved(key, from, 10, 4, 2), to, key);
  assert.equal(moved("End", 0, 0, 4, 2), null);
});
