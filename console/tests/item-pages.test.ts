import assert from "node:assert/strict";
import { test } from "node:test";
import { ItemPages } from "../source/pure/item-pages.ts";

test("the pages of the shown items are needed until they were read", () => {
  const pages = new ItemPages<string>();
  assert.deepEqual(pages.needed(90, 210), [0, 1, 2]);
  pages.store(1, ["x", "y"], pages.generation);
  assert.deepEqual(pages.needed(90, 210), [0, 2]);
  assert.deepEqual([pages.at(101), pages.at(102), pages.at(0)], ["y", undefined, undefined]);
});

test("after a change a page is shown until it was read again, and an older answer does not replace a newer one", () => {
  const pages = new ItemPages<string>();
  const before = pages.generation;
  pages.store(0, ["old"], before);
  pages.changed();
  assert.deepEqual([pages.at(0), pages.needed(0, 1)], ["old", [0]]);
  pages.store(0, ["new"], pages.generation);
  pages.store(0, ["old"], before);
  assert.deepEqual([pages.at(0), pages.needed(0, 1)], ["new", []]);
});

test("twenty pages are kept, those around the last one", () => {
  const pages = new ItemPages<number>();
  for (let page = 0; page < 30; page += 1) pages.store(page, [page], 0);
  assert.deepEqual([pages.at(0), pages.at(900), pages.at(1_000), pages.at(2_900)], [undefined, undefined, 10, 29]);
});
