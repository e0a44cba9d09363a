// Turns an item into the texts of a form, and a form into what is sent to create or change an item.
import { texts } from "../texts.ts";
import { parseExact } from "./exact-json.ts";
import { fieldsOf, type Field, type Medium } from "./fields.ts";
import type { Form } from "./merging.ts";
import type { Violation } from "./violations.ts";

const VIDEO_URL = "video.videoInfo.url";
const VIDEO_TYPE = "video.type";

type Tree = { [name: string]: unknown };

/** The object to send, or what keeps it from being sent. */
export interface Read {
  item: Tree;
  violations: readonly Violation[];
}

/** The form of an item that `parseExact` has read. */
export function formOf(item: object, medium: Medium): Form {
  return Object.fromEntries(fieldsOf(medium).map((field) => [field.path, textOf(field, valueAt(item, field.path))]));
}

/** What creates an item with this form. */
export function newItemOf(form: Form, medium: Medium): Read {
  return treeOf(fieldsOf(medium).filter(({ path }) => path.startsWith(`${medium}.`) || form[path]), form, medium);
}

/**
 * What changes the item, of which `base` is the form, to `form`: the fields that differ.
 * A medium is sent as a whole, because a change replaces it.
 */
export function patchOf(item: object, base: Form, form: Form, medium: Medium): Read {
  const parts = new Set(fieldsOf(medium).filter(({ path }) => (form[path] ?? "") !== (base[path] ?? "")).map(partOf));
  // An unchanged type says who serves the old address. Without a type, the gateway derives it from the new one.
  const isElsewhere = (form[VIDEO_URL] ?? "") !== (base[VIDEO_URL] ?? "") && form[VIDEO_TYPE] === base[VIDEO_TYPE];
  const sent = isElsewhere ? { ...form, [VIDEO_TYPE]: "" } : form;
  const read = treeOf(fieldsOf(medium).filter((field) => parts.has(partOf(field))), sent, medium);
  for (const part of parts) {
    // What the form does not know stays; an empty part is cleared by null.
    const given = read.item[part];
    if (part === medium) read.item[part] = withUnknown(valueAt(item, part), given, fieldsOf(medium), part);
    else if (given === undefined || isEmpty(given)) read.item[part] = null;
  }
  return read;
}

/** Whether the form was changed. */
export function isChanged(base: Form, form: Form): boolean {
  return Object.keys(form).some((path) => (form[path] ?? "") !== (base[path] ?? ""));
}

function treeOf(fields: readonly Field[], form: Form, medium: Medium): Read {
  const item: Tree = {};
  const violations: Violation[] = [];
  for (const field of fields) {
    const value = valueOf(field, form[field.path] ?? "");
    if (value instanceof Error) violations.push({ field: field.path, description: value.message });
    else if (value !== undefined) put(item, field.path.split("."), value);
  }
  // The gateway says which of their fields are missing.
  const info = medium === "text" ? null : `${medium}Info`;
  if (fields.some(({ path }) => path.startsWith(`${medium}.`))) {
    const part = (item[medium] ??= {}) as Tree;
    if (info) part[info] ??= {};
    else part.html ??= "";
  }
  return { item, violations };
}

function valueOf(field: Field, text: string): unknown {
  if (field.kind === "words") return wordsOf(text);
  if (text.trim() === "") return undefined;
  if (field.kind === "number") return numberOf(text.trim());
  if (field.kind === "json") return jsonOf(text);
  return text;
}

function numberOf(text: string): unknown {
  const number = Number(text);
  if (!Number.isFinite(number)) return text; // the gateway refuses it in its own words
  return Number.isInteger(number) && !Number.isSafeInteger(number) && /^-?\d+$/.test(text) ? parseExact(text) : number;
}

function wordsOf(text: string): unknown {
  const words = text.split("\n").map((word) => word.trim()).filter(Boolean);
  return words.length === 0 ? undefined : words;
}

function jsonOf(text: string): unknown {
  try {
    return parseExact(text);
  } catch (error) {
    return new Error(texts.editing.notJson(error instanceof Error ? error.message : String(error)));
  }
}

function textOf(field: Field, value: unknown): string {
  if (value === undefined || value === null) return "";
  if (field.kind === "words") return (value as unknown[]).join("\n");
  if (field.kind === "json") return JSON.stringify(value, null, 2);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function valueAt(item: object, path: string): unknown {
  return path.split(".").reduce<unknown>((value, name) => (value as Tree | undefined)?.[name], item);
}

function put(tree: Tree, path: readonly string[], value: unknown): void {
  const [name, ...rest] = path as [string, ...string[]];
  if (rest.length === 0) tree[name] = value;
  else put((tree[name] ??= {}) as Tree, rest, value);
}

function partOf(field: Field): string {
  return field.path.split(".")[0] as string;
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

/** `given`, with the fields of `stored` that no field of the form names. */
function withUnknown(stored: unknown, given: unknown, fields: readonly Field[], path: string): unknown {
  if (!isTree(stored) || !isTree(given)) return given;
  const whole: Tree = { ...given };
  for (const [name, value] of Object.entries(stored)) {
    const own = `${path}.${name}`;
    const isField = fields.some((field) => field.path === own);
    const hasFields = fields.some((field) => field.path.startsWith(`${own}.`));
    if (hasFields && name in whole) whole[name] = withUnknown(value, whole[name], fields, own);
    else if (!isField && !hasFields) whole[name] = value;
  }
  return whole;
}

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
