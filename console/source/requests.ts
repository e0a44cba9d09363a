// Sends the requests of the pages "What happened" and "System"; every failure is a `Failure` in words.
import { Failure, failureOf } from "./api.ts";
import type { components } from "./api.generated.ts";
import { headersOf, type Session } from "./session.ts";
import { texts } from "./texts.ts";

type Schemas = components["schemas"];
export type PlacedEvent = Schemas["PlacedEvent"];
export type Change = Schemas["ChangeForm"];
export type Delivery = Schemas["AttemptedDelivery"];
export type System = Schemas["System"];
export type Letter = Schemas["DeadLetterForm"];
export type FullLetter = Schemas["FullDeadLetter"];

async function ask<Body>(session: Session, path: string, signal: AbortSignal, body?: object): Promise<Body> {
  const sent = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const headers = { ...headersOf(session), ...(body === undefined ? {} : { "Content-Type": "application/json" }) };
  let answer: Response;
  try {
    answer = await fetch(path, { headers, signal, ...sent });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Failure(0, texts.failures.away);
  }
  if (!answer.ok) throw await failureOf(answer);
  return (await answer.json()) as Body;
}

function query(values: Record<string, string | number | undefined>): string {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== "");
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
}

/** The last events of the site or of a gallery. */
export function readRecent(session: Session, galleryId: string, type: string, signal: AbortSignal) {
  return ask<Schemas["RecentAnswer"]>(session, `v1/events?${query({ galleryId, type, limit: 100 })}`, signal);
}

/** A page of the archived events of a gallery, newest first. */
export function readHistory(session: Session, galleryId: string, type: string, cursor: string, signal: AbortSignal) {
  const path = `progallery/v2/galleries/${encodeURIComponent(galleryId)}/history?${query({ type, cursor, limit: 50 })}`;
  return ask<Schemas["HistoryAnswer"]>(session, path, signal);
}

/** One change of a gallery; `place` is where its event is, as `3-17`, or empty. */
export async function readChange(
  session: Session, galleryId: string, sequence: string, place: string, signal: AbortSignal,
) {
  const id = encodeURIComponent(galleryId);
  const path = `v1/galleries/${id}/changes/${encodeURIComponent(sequence)}?${query({ place })}`;
  return (await ask<Schemas["ChangeAnswer"]>(session, path, signal)).change;
}

/** The deliveries that an event has caused. */
export async function readDeliveries(session: Session, eventId: string, signal: AbortSignal) {
  const path = `v1/deliveries?${query({ eventId })}`;
  return (await ask<Schemas["EventDeliveriesAnswer"]>(session, path, signal)).deliveries;
}

// What is about all sites names no site.
const ofAllSites = (session: Session): Session => ({ ...session, site: "" });

/** How the installation is. */
export async function readSystem(session: Session, signal: AbortSignal) {
  return (await ask<Schemas["SystemAnswer"]>(ofAllSites(session), "v1/system", signal)).system;
}

/** A page of the open dead letters. */
export function readLetters(session: Session, cursor: string, signal: AbortSignal) {
  return ask<Schemas["DeadLettersAnswer"]>(ofAllSites(session), `v1/dead-letters?${query({ cursor })}`, signal);
}

/** One dead letter with its content. */
export async function readLetter(session: Session, id: string, signal: AbortSignal) {
  const path = `v1/dead-letters/${encodeURIComponent(id)}`;
  return (await ask<Schemas["DeadLetterAnswer"]>(ofAllSites(session), path, signal)).deadLetter;
}

/** Replay or drop one dead letter. */
export async function handleLetter(session: Session, id: string, action: "replay" | "drop"): Promise<void> {
  const path = `v1/dead-letters/${encodeURIComponent(id)}/${action}`;
  await ask(ofAllSites(session), path, new AbortController().signal, {});
}

/** Replay or drop all open dead letters of a reason, step by step. */
export async function handleLetters(session: Session, reason: string, action: "replay" | "drop") {
  let done = 0;
  let refused = 0;
  let cursor: string | null = null;
  do {
    const step: Schemas["LettersStepAnswer"] = await ask(
      ofAllSites(session),
      `v1/dead-letters/${action}-matching`,
      new AbortController().signal,
      { reason, ...(cursor === null ? {} : { cursor }) },
    );
    done += step.done;
    refused += step.refused;
    cursor = step.cursor ?? null;
  } while (cursor !== null);
  return { done, refused };
}
