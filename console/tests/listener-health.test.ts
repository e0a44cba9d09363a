import assert from "node:assert/strict";
import { test } from "node:test";
import { nextReadIn, queueOf, stateOf, successShare, troublesOf, type Health } from "../source/pure/listener-health.ts";

const NOW = Date.parse("2026-01-01T12:00:00Z");
const at = (seconds: number) => new Date(NOW + seconds * 1000).toISOString();

function health(fields: Partial<Health> = {}): Health {
  const quiet: Health = {
    circuit: "closed", attempts: 100, succeeded: 100, p95Seconds: 0.1,
    due: 0, oldestDueDate: null, later: 0, nextAttemptDate: null, waiting: 0,
  };
  return { ...quiet, ...fields };
}

test("the state of a listener is the worst that is known", () => {
  assert.equal(stateOf("active", health(), NOW), "well");
  assert.equal(stateOf("active", health({ attempts: 0, succeeded: 0 }), NOW), "new");
  assert.equal(stateOf("active", health({ succeeded: 94 }), NOW), "failing");
  const late = health({ due: 1, oldestDueDate: at(-61), succeeded: 50 });
  assert.equal(stateOf("active", late, NOW), "late");
  assert.equal(stateOf("active", { ...late, circuit: "half-open" }, NOW), "throttled");
  assert.equal(stateOf("paused", late, NOW), "paused");
  assert.equal(stateOf("disabled", late, NOW), "disabled");
});

test("what is wrong is said, and a paused listener is not late", () => {
  const late = health({ due: 1, oldestDueDate: at(-61) });
  assert.deepEqual(troublesOf("active", health(), true, NOW), []);
  assert.deepEqual(troublesOf("active", late, true, NOW), ["late"]);
  assert.deepEqual(troublesOf("paused", late, true, NOW), []);
  assert.deepEqual(troublesOf("active", late, false, NOW), ["relay"]);
  assert.deepEqual(troublesOf("active", health({ circuit: "half-open" }), true, NOW), ["throttled"]);
  assert.deepEqual(troublesOf("disabled", health({ circuit: "open" }), true, NOW), ["disabled"]);
});

test("nothing is asked for while nothing waits", () => {
  assert.equal(nextReadIn("active", health(), true, NOW), null);
  assert.equal(nextReadIn("active", health(), false, NOW), 5_000);
  assert.equal(nextReadIn("active", health({ due: 1, oldestDueDate: at(0) }), true, NOW), 2_000);
  assert.equal(nextReadIn("active", health({ later: 1, nextAttemptDate: at(9) }), true, NOW), 9_000);
  assert.equal(nextReadIn("active", health({ later: 1, nextAttemptDate: at(-1) }), true, NOW), 2_000);
  assert.equal(nextReadIn("active", health({ later: 1, nextAttemptDate: at(3_600) }), true, NOW), 15_000);
  assert.equal(nextReadIn("paused", health({ due: 1, oldestDueDate: at(-9) }), true, NOW), 15_000);
});

test("shares and queues", () => {
  assert.equal(successShare(health({ attempts: 4, succeeded: 3 })), 0.75);
  assert.equal(successShare(health({ attempts: 0 })), null);
  assert.deepEqual(queueOf(health({ due: 1, later: 2, waiting: 3 })), { length: 6, hasMore: false });
  assert.deepEqual(queueOf(health({ due: 1_000, later: 2 })), { length: 1_002, hasMore: true });
});
