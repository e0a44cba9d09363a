import assert from "node:assert/strict";
import { test } from "node:test";
import { after, BEGINNING } from "../source/pure/replaying.ts";

const NOW = Date.parse("2026-01-01T12:00:00Z");
const SINCE = "2026-01-01T10:00:00Z";

test("the share of a replay is that of its time", () => {
  const step = { queued: 3, seen: 5, cursor: "c", throughDate: "2026-01-01T11:00:00Z" };
  assert.deepEqual(after(BEGINNING, step, SINCE, undefined, NOW), { queued: 3, seen: 5, share: 0.5, isDone: false });
  const half = after(BEGINNING, step, SINCE, "2026-01-01T11:30:00Z", NOW);
  assert.equal(half.share, 2 / 3);
  const done = after(half, { queued: 1, seen: 2, cursor: null, throughDate: null }, SINCE, undefined, NOW);
  assert.deepEqual(done, { queued: 4, seen: 7, share: 1, isDone: true });
});

test("without a time nothing is said about the share, and an end in the future is now", () => {
  const step = { queued: 0, seen: 9, cursor: "c", throughDate: null };
  assert.equal(after(BEGINNING, step, undefined, undefined, NOW).share, null);
  const through = { ...step, throughDate: "2026-01-01T11:00:00Z" };
  assert.equal(after(BEGINNING, through, SINCE, "2027-01-01T00:00:00Z", NOW).share, 0.5);
  assert.equal(after(BEGINNING, through, "2026-01-01T11:30:00Z", undefined, NOW).share, 0);
});
