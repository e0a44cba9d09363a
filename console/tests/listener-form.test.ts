import assert from "node:assert/strict";
import { test } from "node:test";
import { toChange, toCreate, type Fields } from "../source/pure/listener-form.ts";

const EMPTY: Fields = {
  url: " https://a.example/ ", description: "", eventTypes: ["b", "a"], galleries: "", timeout: "", rateLimit: "",
  format: "standard-hmac", isOrdered: false,
};
const KNOWN = {
  url: "https://a.example/", description: "", eventTypes: ["a", "b"], galleryIds: null, timeoutSeconds: 15, rateLimit: null,
};

test("empty fields of a new listener are left to the gateway", () => {
  assert.deepEqual(toCreate(EMPTY), {
    url: "https://a.example/", eventTypes: ["b", "a"], format: "standard-hmac", ordered: false, description: "",
  });
  const full = toCreate({ ...EMPTY, galleries: "g2,\n g1", timeout: " 2.5 ", rateLimit: "ten" });
  assert.deepEqual([full.galleryIds, full.timeoutSeconds, full.rateLimit], [["g1", "g2"], 2.5, "ten"]);
});

test("only what differs is changed", () => {
  assert.deepEqual(toChange(EMPTY, KNOWN), {});
  assert.deepEqual(toChange({ ...EMPTY, eventTypes: ["a"], timeout: "5" }, KNOWN), { eventTypes: ["a"], timeoutSeconds: 5 });
});

test("an emptied filter or limit is removed", () => {
  const limited = { ...KNOWN, galleryIds: ["g"], rateLimit: 3 };
  assert.deepEqual(toChange(EMPTY, limited), { galleryIds: null, rateLimit: null });
});
