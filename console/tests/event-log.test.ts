import assert from "node:assert/strict";
import { test } from "node:test";
import { EVENTS_KEPT, EventLog, placeBetween, type Entry } from "../source/pure/event-log.ts";

const entry = (galleryId: string, sequence: number, time = "2026-01-01T00:00:00.000Z"): Entry =>
  ({ galleryId, sequence, type: "updated", time, place: "" });

test("each event is there once, newest first, in the order of its gallery", () => {
  const log = new EventLog();
  assert.equal(log.add([entry("a", 1), entry("a", 2), entry("b", 1, "2026-01-01T00:00:01.000Z")]), 3);
  assert.equal(log.add([entry("a", 2), entry("a", 3)]), 1);
  assert.deepEqual(log.entries.map((one) => `${one.galleryId}${one.sequence}`), ["b1", "a3", "a2", "a1"]);
});

test("not more events are kept than a page can hold", () => {
  const log = new EventLog();
  for (let sequence = 1; sequence <= EVENTS_KEPT; sequence += 1) log.add([entry("a", sequence)]);
  assert.equal(log.isCut, false);
  log.add([entry("a", EVENTS_KEPT + 1)]);
  assert.equal(log.entries.length, EVENTS_KEPT);
  assert.equal(log.entries[0]?.sequence, EVENTS_KEPT + 1);
  assert.equal(log.isCut, true);
});

test("the place of an event is where the ids of the stream differ", () => {
  assert.equal(placeBetween("0:5,1:7", "0:5,1:8"), "1-7");
  assert.equal(placeBetween("0:5,1:7", "0:5,1:12"), "1-11");
  assert.equal(placeBetween("", "0:5,1:8"), "");
  assert.equal(placeBetween("0:5,1:7", "0:6,1:8"), "");
  assert.equal(placeBetween("0:5", "0:5"), "");
});
