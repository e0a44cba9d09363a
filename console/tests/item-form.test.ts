import assert from "node:assert/strict";
import { test } from "node:test";
import { parseExact } from "../source/pure/exact-json.ts";
import { fieldsOf, MEDIA, mediumOf } from "../source/pure/fields.ts";
import { formOf, newItemOf, patchOf } from "../source/pure/item-form.ts";
import { merged } from "../source/pure/merging.ts";
import { placed } from "../source/pure/violations.ts";

const IMAGE = {
  id: "1", sortOrder: 7.5, title: "t", link: { text: "l", url: "https://a.example" }, tags: { values: ["a", "b"] },
  image: {
    imageInfo: { url: "https://a.example/x.jpg", width: 10, height: 0 },
    focalPoint: { x: 0.5, y: 0 }, quality: 80, exif: { iso: [1, null] }, ofTheFuture: 1,
  },
};

test("a form has every field, and no change sends nothing", () => {
  const form = formOf(IMAGE, "image");
  assert.equal(form["tags.values"], "a\nb");
  assert.equal(form["image.imageInfo.height"], "0");
  assert.equal(form["image.imageInfo.id"], "");
  assert.deepEqual(patchOf(IMAGE, form, form, "image"), { item: {}, violations: [] });
  assert.deepEqual(mediumOf(IMAGE), "image");
  for (const medium of MEDIA) assert.ok(fieldsOf(medium).some(({ path }) => path.startsWith(`${medium}.`)));
});

test("a change sends what differs, a medium as a whole, and null for what is empty", () => {
  const form = formOf(IMAGE, "image");
  const patch = (changes: object) => patchOf(IMAGE, form, { ...form, ...changes }, "image").item;
  assert.deepEqual(patch({ title: "u" }), { title: "u" });
  assert.deepEqual(patch({ title: "", "link.text": "", "link.url": " ", "tags.values": "\n" }),
    { title: null, link: null, tags: null });
  assert.deepEqual(patch({ "link.text": "" }), { link: { url: "https://a.example" } });
  assert.deepEqual(patch({ "image.quality": "", "image.imageInfo.width": "11" }), {
    image: {
      imageInfo: { url: "https://a.example/x.jpg", width: 11, height: 0 },
      focalPoint: { x: 0.5, y: 0 }, exif: { iso: [1, null] }, ofTheFuture: 1,
    },
  });
  assert.deepEqual(patch({ sortOrder: "x" }), { sortOrder: "x" }); // the gateway says that it must be a number
  assert.deepEqual(patch({ sortOrder: "1e999" }), { sortOrder: "1e999" });
});

test("what is no JSON is said, and a new address of a video has its type derived", () => {
  const { violations } = patchOf(IMAGE, {}, { "image.exif": "{" }, "image");
  assert.equal(violations[0]?.field, "image.exif");
  assert.match(violations[0]?.description ?? "", /^must be JSON: /);
  const video = { video: { type: "YOUTUBE", videoInfo: { url: "https://youtu.be/x" }, durationInMillis: 5 } };
  const form = formOf(video, "video");
  const elsewhere = { ...form, "video.videoInfo.url": "https://vimeo.com/1" };
  assert.deepEqual(patchOf(video, form, elsewhere, "video").item,
    { video: { videoInfo: { url: "https://vimeo.com/1" }, durationInMillis: 5 } });
  const chosen = { ...elsewhere, "video.type": "VIMEO" };
  assert.deepEqual(Object.keys(patchOf(video, form, chosen, "video").item.video as object).sort(),
    ["durationInMillis", "type", "videoInfo"]);
});

test("a new item has its medium, even an empty one, and only what was typed", () => {
  assert.deepEqual(newItemOf({ title: "t", "video.videoInfo.url": "https://a.example" }, "image").item,
    { title: "t", image: { imageInfo: {} } });
  assert.deepEqual(newItemOf({}, "text").item, { text: { html: "" } });
});

test("integers of 64 bits stay as they are where the browser can", () => {
  const rounded = !("rawJSON" in JSON);
  const text = '{"big":9007199254740993,"small":1.50}';
  assert.equal(JSON.stringify(parseExact(text)), `{"big":900719925474099${rounded ? 2 : 3},"small":1.5}`);
});

test("only a field that both have changed differently is a conflict", () => {
  const base = { a: "1", b: "1", c: "1", d: "1" };
  const found = merged(base, { ...base, a: "mine", c: "same", d: "mine" }, { ...base, b: "2", c: "same", d: "theirs" });
  assert.deepEqual(found.form, { a: "mine", b: "2", c: "same", d: "mine" });
  assert.deepEqual(found.conflicts, [{ field: "d", mine: "mine", theirs: "theirs" }]);
});

test("a violation stands beside its field, in the words of the gateway", () => {
  const found = placed([
    { field: "item.tags.values[2]", description: "must not be empty" },
    { field: "item.image.imageInfo.url", description: "must be an address" },
    { field: "item.image.imageInfo", description: "is required" },
    { field: "item", description: "must have one medium" },
    { field: "sortOrder", description: "is taken" },
  ], "item", ["tags.values", "image.imageInfo.url", "sortOrder"]);
  assert.deepEqual([...found.beside], [
    ["tags.values", "[2] must not be empty"], ["image.imageInfo.url", "must be an address"], ["sortOrder", "is taken"],
  ]);
  assert.deepEqual(found.above, ["image.imageInfo is required", "must have one medium"]);
});
