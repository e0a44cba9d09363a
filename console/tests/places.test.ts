import assert from "node:assert/strict";
import { test } from "node:test";
import { allowed, placeOf } from "../source/pure/places.ts";

const ROOMS = [
  { name: "galleries", scope: "read" },
  { name: "listeners", scope: "listeners" },
  { name: "system", scope: ["operate", "dead-letters"], isAboutAllSites: true },
];

test("a key enters the rooms of its scopes, and a key of a site none that is about all sites", () => {
  const names = (scopes: string[], all: boolean) => allowed(ROOMS, scopes, all).map((room) => room.name);
  assert.deepEqual(names(["read", "dead-letters"], true), ["galleries", "system"]);
  assert.deepEqual(names(["read", "dead-letters"], false), ["galleries"]);
  assert.deepEqual(names(["listeners"], false), ["listeners"]);
  assert.deepEqual(names([], true), []);
});

test("an address names a room and what is in it; any other address is the first room", () => {
  const place = (address: string) => {
    const { room, parts } = placeOf(ROOMS, address);
    return [room?.name, ...parts];
  };
  assert.deepEqual(place(""), ["galleries"]);
  assert.deepEqual(place("#/"), ["galleries"]);
  assert.deepEqual(place("#/galleries/1"), ["galleries", "1"]);
  assert.deepEqual(place("#/listeners/a%2Fb/deliveries"), ["listeners", "a/b", "deliveries"]);
  assert.deepEqual(place("#/listeners/%"), ["listeners", "%"]);
  assert.deepEqual(place("#/nowhere/1"), ["galleries"]);
  assert.deepEqual(placeOf([], "#/").room, undefined);
});
