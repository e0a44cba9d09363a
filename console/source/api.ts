// Sends requests to the gateway that served the page, and says in words why one failed.
import type { components } from "./api.generated.ts";
import type { Violation } from "./pure/violations.ts";
import { headersOf, type Session } from "./session.ts";
import { texts } from "./texts.ts";

type Schemas = components["schemas"];
export type Gallery = Schemas["Gallery"];
export type Item = Schemas["Item"];

export const GALLERIES = "progallery/v2/galleries";
export const GALLERIES_OF_PAGE = 10;

/** Why a request failed; the message is for people. */
export class Failure extends Error {
  /** 0 if there was no answer. */
  readonly status: number;
  /** What is wrong with which field of the request. */
  readonly violations: readonly Violation[];
  /** What the gateway adds to its reason, such as the sequence that the gallery is at. */
  readonly data: Readonly<Record<string, unknown>>;

  constructor(
    status: number, message: string, violations: readonly Violation[] = [], data: Record<string, unknown> = {},
  ) {
    super(message);
    this.status = status;
    this.violations = violations;
    this.data = data;
  }
}

/** The failure that an answer stands for. */
export async function failureOf(answer: Response): Promise<Failure> {
  const body = (await answer.json().catch(() => null)) as Schemas["FailureAnswer"] | null;
  const { applicationError, validationError } = body?.details ?? {};
  const field = applicationError?.data?.field; // a sort order that is taken
  const violations = validationError?.fieldViolations
    ?? (typeof field === "string" ? [{ field, description: applicationError?.description ?? "" }] : []);
  return new Failure(answer.status, inWords(answer.status, body?.message ?? ""), violations, applicationError?.data);
}

function inWords(status: number, told: string): string {
  const { failures } = texts;
  if (status === 401) return failures.key;
  if (status === 403) return failures.forbidden(told);
  if (status === 404) return failures.missing;
  if (status === 429) return failures.tooMany;
  if (status === 504) return failures.late;
  if (status >= 500) return failures.busy;
  return failures.other(status, told);
}

async function read<Body>(session: Session, path: string, consistent: string, signal: AbortSignal): Promise<Body> {
  const headers = { ...headersOf(session), ...(consistent ? { "X-Wix-Consistent": consistent } : {}) };
  let answer: Response;
  try {
    answer = await fetch(path, { headers, signal });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Failure(0, texts.failures.away);
  }
  if (!answer.ok) throw await failureOf(answer);
  return (await answer.json()) as Body;
}

/** A session with what the gateway says about its key. */
export async function openSession(key: string, site: string): Promise<Session> {
  const session = { key, site, scopes: [], isOfAllSites: true };
  const told = (await read<Schemas["KeyAnswer"]>(session, "v1/key", "", new AbortController().signal)).key;
  return { ...session, scopes: told.scopes, isOfAllSites: told.siteId === null };
}

/**
 * A page of the site's galleries with one item each: newest first, or, if `name` is not empty, those whose name begins
 * with it. An empty cursor is that of the first page.
 */
export function readGalleries(session: Session, name: string, cursor: string, consistent: string, signal: AbortSignal) {
  const query = new URLSearchParams({ limit: String(GALLERIES_OF_PAGE), itemLimit: "1", cursor });
  if (name) query.set("name", name);
  return read<Schemas["GalleriesAnswer"]>(session, `${GALLERIES}?${query}`, consistent, signal);
}

/** A gallery with its first item. */
export async function readGallery(session: Session, id: string, consistent: string, signal: AbortSignal) {
  const path = `${GALLERIES}/${encodeURIComponent(id)}?itemLimit=1`;
  return (await read<Schemas["GalleryAnswer"]>(session, path, consistent, signal)).gallery;
}

/** Items of a gallery in display order. */
export async function readItems(
  session: Session, id: string, offset: number, limit: number, consistent: string, signal: AbortSignal,
) {
  const path = `${GALLERIES}/${encodeURIComponent(id)}/items?itemLimit=${limit}&itemOffset=${offset}`;
  return (await read<Schemas["ItemsAnswer"]>(session, path, consistent, signal)).items;
}
