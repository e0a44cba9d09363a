// Reads and changes listeners and their deliveries at the gateway.
import type { components } from "./api.generated.ts";
import { Failure, failureOf } from "./api.ts";
import { headersOf, type Session } from "./session.ts";
import { texts } from "./texts.ts";

type Schemas = components["schemas"];
export type Listener = Schemas["ListenerForm"];
export type Secret = Schemas["SecretAnswer"];
export type ListenerHealth = Schemas["HealthForm"];
export type Delivery = Schemas["DeliveryForm"];
export type LoggedDelivery = Schemas["LoggedDelivery"];
export type Attempt = Schemas["AttemptForm"];
export type EventType = Schemas["EventType"];
export type Step = Schemas["ProgressAnswer"];

export const EVENTS_OF_SITE = "progallery/v2/events";
export const EVENT_TYPES: readonly EventType[] = [
  "wix.pro_gallery.gallery_v2_created",
  "wix.pro_gallery.gallery_v2_updated",
  "wix.pro_gallery.gallery_v2_deleted",
  "wix.pro_gallery.gallery_v2_gallery_item_created",
  "wix.pro_gallery.gallery_v2_gallery_item_updated",
  "wix.pro_gallery.gallery_v2_gallery_item_deleted",
];
export const LISTENERS_OF_PAGE = 10;
export const DELIVERIES_OF_PAGE = 20;

async function ask<Body>(session: Session, method: string, path: string, signal?: AbortSignal, body?: unknown) {
  const headers = { ...headersOf(session), ...(body === undefined ? {} : { "Content-Type": "application/json" }) };
  let answer: Response;
  try {
    answer = await fetch(`v1/${path}`, {
      method,
      headers,
      ...(signal === undefined ? {} : { signal }),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failure(0, texts.failures.away);
  }
  if (answer.status === 400) throw new Failure(400, await violationsOf(answer));
  if (!answer.ok) throw await failureOf(answer);
  return (await answer.json()) as Body;
}

async function violationsOf(answer: Response): Promise<string> {
  type Told = { details?: { validationError?: { fieldViolations?: { field: string; description: string }[] } } };
  const told = (await answer.json().catch(() => ({}))) as Told;
  const found = told.details?.validationError?.fieldViolations ?? [];
  return found.map(({ field, description }) => `${field.replace(/^listener\./, "")} ${description}`).join("; ");
}

function query(values: Record<string, string | number | null>): string {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== "");
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
}

const pathOf = (id: string) => `listeners/${encodeURIComponent(id)}`;
const pathOfDelivery = (id: string) => `deliveries/${encodeURIComponent(id)}`;

/** A page of listeners with their health; `hasRelay` says whether anybody sends. */
export async function readListeners(session: Session, cursor: string | null, signal: AbortSignal) {
  const asked = query({ limit: LISTENERS_OF_PAGE, cursor });
  const [listed, health] = await Promise.all([
    ask<Schemas["ListenersAnswer"]>(session, "GET", `listeners?${asked}`, signal),
    ask<Schemas["HealthAnswer"]>(session, "GET", `listener-health?${asked}`, signal),
  ]);
  return { ...listed, health: new Map(health.health.map((one) => [one.listenerId, one])), hasRelay: health.hasRelay };
}

/** A listener with its health. */
export async function readListener(session: Session, id: string, signal: AbortSignal) {
  const [{ listener }, answer] = await Promise.all([
    ask<Schemas["ListenerAnswer"]>(session, "GET", pathOf(id), signal),
    ask<Schemas["HealthAnswer"]>(session, "GET", `${pathOf(id)}/health`, signal),
  ]);
  return { listener, health: answer.health[0], hasRelay: answer.hasRelay };
}

export function createListener(session: Session, listener: object) {
  return ask<Secret>(session, "POST", "listeners", undefined, { listener });
}

export async function changeListener(session: Session, id: string, listener: object) {
  return (await ask<Schemas["ListenerAnswer"]>(session, "PATCH", pathOf(id), undefined, { listener })).listener;
}

export function deleteListener(session: Session, id: string) {
  return ask<object>(session, "DELETE", pathOf(id));
}

/** Pause or resume. */
export function setListener(session: Session, id: string, what: "pause" | "resume") {
  return ask<object>(session, "POST", `${pathOf(id)}/${what}`);
}

export function rotateSecret(session: Session, id: string, overlapSeconds: number) {
  return ask<Secret>(session, "POST", `${pathOf(id)}/rotate-secret`, undefined, { overlapSeconds });
}

export async function sendTest(session: Session, id: string) {
  return (await ask<Schemas["DeliveryAnswer"]>(session, "POST", `${pathOf(id)}/test`)).delivery;
}

/** A page of the log, newest first, without attempts. */
export function readDeliveries(
  session: Session, id: string, filter: { status: string; eventType: string }, cursor: string | null, signal: AbortSignal,
) {
  const asked = query({ limit: DELIVERIES_OF_PAGE, cursor, ...filter });
  return ask<Schemas["DeliveriesAnswer"]>(session, "GET", `${pathOf(id)}/deliveries?${asked}`, signal);
}

export async function readDelivery(session: Session, id: string, signal: AbortSignal) {
  return (await ask<Schemas["LoggedDeliveryAnswer"]>(session, "GET", pathOfDelivery(id), signal)).delivery;
}

export async function resend(session: Session, id: string) {
  return (await ask<Schemas["DeliveryAnswer"]>(session, "POST", `${pathOfDelivery(id)}/resend`)).delivery;
}

/** One step of sending all dead deliveries again. */
export function resendDead(session: Session, id: string, cursor: string | null) {
  return ask<Step>(session, "POST", `${pathOf(id)}/resend-dead`, undefined, { cursor });
}

/** One step of a replay. */
export function replay(session: Session, id: string, range: object, cursor: string | null) {
  return ask<Step>(session, "POST", `${pathOf(id)}/replay`, undefined, { ...range, cursor });
}
