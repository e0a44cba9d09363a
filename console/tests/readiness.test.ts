import assert from "node:assert/strict";
import { test } from "node:test";
import { dateOf } from "../source/pure/dates.ts";
import { troubleOf } from "../source/pure/readiness.ts";

test("the missing server is named", () => {
  const problems = (...names: string[]) => ({ problems: Object.fromEntries(names.map((name) => [name, "no answer"])) });
  assert.equal(troubleOf(true, { status: "ready" }), null);
  assert.equal(troubleOf(false, problems("kafka")), "kafka");
  assert.equal(troubleOf(false, problems("kafka", "mongodb")), "mongodb");
  assert.equal(troubleOf(false, problems("topics")), "kafka");
  assert.equal(troubleOf(false, problems("loops")), "other");
  assert.equal(troubleOf(false, null), "other");
});

test("what is no time is shown as it is", () => {
  assert.equal(dateOf("soon"), "soon");
  assert.match(dateOf("2026-01-01T12:00:00Z"), /2026/);
});
