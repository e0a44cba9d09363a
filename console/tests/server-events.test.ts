import assert from "node:assert/strict";
import { test } from "node:test";
import { ServerEventReader } from "../source/pure/server-events.ts";

test("an event that arrives in pieces is read once, when it is complete", () => {
  const reader = new ServerEventReader();
  assert.deepEqual(reader.push("retry: 1000\nid: a\n\nid: b\nevent: upd"), [{ id: "a", event: "", data: "", comment: "" }]);
  assert.deepEqual(reader.push('ated\ndata: {"x":1}\n'), []);
  assert.deepEqual(reader.push("\n"), [{ id: "b", event: "updated", data: '{"x":1}', comment: "" }]);
});

test("lines of data are joined, and one space after the colon is left out", () => {
  const reader = new ServerEventReader();
  assert.deepEqual(reader.push("data:  a\ndata:b\n: comment\nevent\n\n"), [{ id: "", event: "", data: " a\nb", comment: "comment" }]);
});
