import assert from "node:assert/strict";
import { test } from "node:test";
import { elementHeight, elementOffset, gridOffset, scrolledTo, TALLEST, type Place } from "../source/pure/tall.ts";

const FRAME = 500;
const TALL = 1_200_000 * 112;

test("a grid that fits is scrolled pixel by pixel", () => {
  assert.equal(elementHeight(5_000), 5_000);
  for (const pixel of [0, 1, 2_250, 4_500]) {
    assert.equal(gridOffset(pixel, 5_000, FRAME), pixel);
    assert.equal(elementOffset(pixel, 5_000, FRAME), pixel);
  }
  assert.equal(elementOffset(9_000, 5_000, FRAME), 4_500);
  assert.deepEqual(scrolledTo(0, { element: 0, grid: 0 }, 300, FRAME), { element: 0, grid: 0 });
});

test("a taller one has every place, its ends exactly, and a way back", () => {
  assert.equal(elementHeight(TALL), TALLEST);
  assert.equal(gridOffset(0, TALL, FRAME), 0);
  assert.equal(gridOffset(TALLEST - FRAME, TALL, FRAME), TALL - FRAME);
  let last = -1;
  for (let element = 0; element <= TALLEST - FRAME; element += 9_973) {
    const grid = gridOffset(element, TALL, FRAME);
    assert.ok(grid > last);
    assert.equal(elementOffset(grid, TALL, FRAME), element);
    last = grid;
  }
});

test("a wheel moves by rows, and the scroll bar to the same share", () => {
  const middle: Place = { element: 4_000_000, grid: gridOffset(4_000_000, TALL, FRAME) };
  assert.deepEqual(scrolledTo(4_000_100, middle, TALL, FRAME), { element: 4_000_100, grid: middle.grid + 100 });
  const jump = scrolledTo(6_000_000, middle, TALL, FRAME);
  assert.equal(jump.grid, gridOffset(6_000_000, TALL, FRAME));
});

test("steps of a wheel alone reach both ends from anywhere near them", () => {
  for (const [start, step, end] of [[50_000, -100, 0], [TALL - FRAME - 50_000, 100, TALL - FRAME]] as const) {
    let place: Place = { element: elementOffset(start, TALL, FRAME), grid: start };
    for (let count = 0; count < 600 && place.grid !== end; count += 1) {
      const element = Math.max(0, Math.min(TALLEST - FRAME, place.element + step));
      place = scrolledTo(element, place, TALL, FRAME);
    }
    assert.equal(place.grid, end);
  }
});
