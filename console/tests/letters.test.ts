import assert from "node:assert/strict";
import { test } from "node:test";
import { byReason } from "../source/pure/letters.ts";

test("dead letters are counted by reason, the most frequent one first", () => {
  const letters = ["B", "A", "C", "B"].map((reason) => ({ reason }));
  assert.deepEqual(byReason(letters), [["B", 2], ["A", 1], ["C", 1]]);
  assert.deepEqual(byReason([]), []);
});
