// Sends changes to the gateway, and reads one gallery or item with the tag that a conditional change needs.
import { Failure, failureOf, GALLERIES, type Gallery, type Item } from "./api.ts";
import { parseExact } from "./pure/exact-json.ts";
import type { Target } from "./pure/moving.ts";
import { headersOf, type Session } from "./session.ts";
import { texts } from "./texts.ts";

/** What a write has answered, and the positions from which on reads show it. */
export interface Done<Body> {
  body: Body;
  consistent: string;
}

/** An object, and the tag of its gallery. */
export interface Tagged<Body> {
  body: Body;
  tag: string;
}

const CHANGED_MEANWHILE = 412;

/**
 * The position that the gallery had when a write was refused because it has changed since its tag was read. A read with
 * this position sees that change. Raises any other error.
 */
export function changedMeanwhile(error: unknown, galleryId: string): string {
  if (!(error instanceof Failure && error.status === CHANGED_MEANWHILE)) throw error;
  return `${galleryId}:${String(error.data.sequence)}`;
}

/** The path of a gallery, or of something in it. */
export function pathOf(galleryId: string, ...rest: string[]): string {
  return [GALLERIES, ...[galleryId, ...rest].map(encodeURIComponent)].join("/");
}

const REPEATED = [0, 503, 504]; // the write may have happened, or will
const REPEATS = 2;
const PAUSE_MS = 1_000;

/** A key by which the gateway recognises a repeated request. Pages without HTTPS have no `crypto.randomUUID`. */
function newKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

interface Options {
  body?: unknown;
  /** The write happens only if the gallery still has this tag. */
  tag?: string;
  /** The page is being closed, and does not see the answer. */
  isLeaving?: boolean;
}

/** Send a write. If its outcome is open, it is repeated, which has one effect. Raises a Failure. */
async function send<Body>(session: Session, method: string, path: string, options: Options = {}): Promise<Done<Body>> {
  const { body, tag, isLeaving } = options;
  const headers = {
    ...headersOf(session),
    "Idempotency-Key": newKey(),
    ...(body === undefined ? {} : { "Content-Type": "application/json" }),
    ...(tag === undefined ? {} : { "If-Match": tag }),
  };
  const request = { method, headers, keepalive: isLeaving ?? false, body: body && JSON.stringify(body) } as RequestInit;
  for (let repeats = 0; ; repeats += 1) {
    try {
      const answer = await fetch(path, request).catch(() => { throw new Failure(0, texts.failures.away); });
      if (!answer.ok) throw await failureOf(answer);
      return { body: (await answer.json()) as Body, consistent: answer.headers.get("X-Wix-Consistent") ?? "" };
    } catch (error) {
      if (!(error instanceof Failure && REPEATED.includes(error.status)) || repeats === REPEATS || isLeaving) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

async function readTagged(session: Session, path: string, consistent: string): Promise<Tagged<object>> {
  const headers = { ...headersOf(session), ...(consistent ? { "X-Wix-Consistent": consistent } : {}) };
  let answer: Response;
  try {
    answer = await fetch(path, { headers, cache: "no-store" });
  } catch {
    throw new Failure(0, texts.failures.away);
  }
  if (!answer.ok) throw await failureOf(answer);
  return { body: parseExact(await answer.text()) as object, tag: answer.headers.get("ETag") ?? "" };
}

/**
 * An item with the tag of its gallery, and integers in free-form objects as they are. It is at least as new as the
 * position `consistent`, if that is not empty.
 */
export async function readItemToEdit(session: Session, galleryId: string, itemId: string, consistent = "") {
  const { body, tag } = await readTagged(session, pathOf(galleryId, "items", itemId), consistent);
  return { body: (body as { item: Item }).item, tag } satisfies Tagged<Item>;
}

/** A gallery with its tag, at least as new as the position `consistent`, if that is not empty. */
export async function readGalleryToEdit(session: Session, galleryId: string, consistent = "") {
  const { body, tag } = await readTagged(session, `${pathOf(galleryId)}?itemLimit=1`, consistent);
  return { body: (body as { gallery: Gallery }).gallery, tag } satisfies Tagged<Gallery>;
}

export function createGallery(session: Session, name: string) {
  return send<{ gallery: Gallery }>(session, "POST", GALLERIES, { body: { gallery: name ? { name } : {} } });
}

export function cloneGallery(session: Session, galleryId: string, name: string) {
  const body = { cloneFromGalleryId: galleryId, gallery: { name: name || null } };
  return send<{ gallery: Gallery }>(session, "POST", GALLERIES, { body });
}

/** Change the name; an empty one is removed. Raises what `changedMeanwhile` knows if the tag is an old one. */
export function renameGallery(session: Session, galleryId: string, name: string, tag: string) {
  const body = { gallery: { name: name || null } };
  return send<{ gallery: Gallery }>(session, "PATCH", pathOf(galleryId), { body, tag });
}

export function deleteGallery(session: Session, galleryId: string, isLeaving: boolean) {
  return send<object>(session, "DELETE", pathOf(galleryId), { isLeaving });
}

export function clearGallery(session: Session, galleryId: string, isLeaving: boolean) {
  return send<object>(session, "DELETE", pathOf(galleryId, "items"), { isLeaving });
}

export function rebalanceGallery(session: Session, galleryId: string) {
  return send<object>(session, "POST", pathOf(galleryId, "rebalance"));
}

export function createItem(session: Session, galleryId: string, item: object) {
  return send<{ item: Item }>(session, "POST", pathOf(galleryId, "items"), { body: { item } });
}

/** Change an item. Raises what `changedMeanwhile` knows if the tag is an old one. */
export function updateItem(session: Session, galleryId: string, itemId: string, item: object, tag: string) {
  return send<{ item: Item }>(session, "PATCH", pathOf(galleryId, "items", itemId), { body: { item }, tag });
}

export function deleteItems(session: Session, galleryId: string, itemIds: readonly string[], isLeaving: boolean) {
  return send<object>(session, "POST", pathOf(galleryId, "items", "delete"), { body: { itemIds }, isLeaving });
}

export function moveItems(session: Session, galleryId: string, itemIds: readonly string[], target: Target) {
  return send<object>(session, "POST", pathOf(galleryId, "items", "move"), { body: { itemIds, ...target } });
}
