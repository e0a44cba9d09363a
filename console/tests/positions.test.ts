import assert from "node:assert/strict";
import { test } from "node:test";
import { Positions } from "../source/pure/positions.ts";

test("the highest sequence of a gallery is kept, and the newest gallery comes first", () => {
  const positions = new Positions();
  assert.equal(positions.header(), "");
  positions.note("a", 5);
  positions.note("b", 1);
  positions.note("a", 4);
  assert.equal(positions.header(), "a:5,b:1");
});

test("eight galleries are remembered", () => {
  const positions = new Positions();
  for (let number = 0; number < 10; number += 1) positions.note(`g${number}`, number);
  assert.equal(positions.header(), "g9:9,g8:8,g7:7,g6:6,g5:5,g4:4,g3:3,g2:2");
});
