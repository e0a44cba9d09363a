import assert from "node:assert/strict";
import { test } from "node:test";
import { stepsOf } from "../source/pure/steps.ts";

const at = (milliseconds: number) => new Date(1_767_225_600_000 + milliseconds).toISOString();

test("steps are in the order of their times, also if a retry came after a later step", () => {
  const change = {
    event: { time: at(5), place: { date: at(9) } },
    command: { place: { date: at(0) }, carriedOutDate: at(7) },
    joined: { place: { date: at(30) } },
  };
  const delivery = { listenerId: "l", createdDate: at(12), log: [{ date: at(20), failure: "timeout" }, { date: at(90) }] };
  assert.deepEqual(
    stepsOf(change, [delivery]).map((step) => [step.name, step.after]),
    [["command", 0], ["event", 5], ["carriedOut", 7], ["published", 9], ["planned", 12], ["attempt", 20],
      ["joined", 30], ["attempt", 90]],
  );
});

test("what is not known is left out", () => {
  const known = stepsOf({ event: { time: at(5), place: null }, command: null, joined: null }, []);
  assert.deepEqual(known.map((step) => [step.name, step.after, step.detail]), [["event", 0, ""]]);
});
