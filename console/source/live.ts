// Follows the gateway's stream of events, and resumes it when it ends. Nothing is asked for while nothing happens.
import { Failure, failureOf } from "./api.ts";
import { ServerEventReader, type ServerEvent } from "./pure/server-events.ts";
import { whatIsWrong } from "./servers.ts";
import { headersOf, type Session } from "./session.ts";
import { texts } from "./texts.ts";

export interface Watcher {
  /** The stream is open. What is shown has to be read again unless the stream was resumed without a gap. */
  opened(isResumed: boolean): void;
  /** `before` is the id before this event: the two differ by the place of the event (`pure/event-log.ts`). */
  happened(event: ServerEvent, before: string): void;
  /** The gateway does not answer, or has no room for a stream, and is asked again after a pause. */
  away(why: string): void;
  /** The stream is open and says whether events can come: why not in words, or nothing if they can. */
  told?(why: string): void;
  /** The gateway refuses the stream, and is not asked again. */
  refused(failure: Failure): void;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;
const FINAL = [400, 401, 403, 404];

/** Follow the stream at `path` until the function in the result is called. */
export function follow(session: Session, path: string, watcher: Watcher): () => void {
  const stop = new AbortController();
  void run(session, path, watcher, stop.signal);
  return () => stop.abort();
}

async function run(session: Session, path: string, watcher: Watcher, signal: AbortSignal): Promise<void> {
  let last = "";
  let pause = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    try {
      const headers = { ...headersOf(session), ...(last ? { "Last-Event-ID": last } : {}) };
      const answer = await fetch(path, { headers, signal });
      if (answer.status === 410) {
        last = ""; // what was missed is no longer stored, so the next stream begins now
        continue;
      }
      if (!answer.ok || answer.body === null) {
        const failure = await failureOf(answer);
        if (FINAL.includes(failure.status)) {
          watcher.refused(failure);
          return;
        }
        throw failure;
      }
      watcher.opened(last !== "");
      const reader = new ServerEventReader();
      for await (const piece of pieces(answer.body)) {
        for (const event of reader.push(piece)) {
          pause = FIRST_PAUSE_MS;
          const before = last;
          if (event.id) last = event.id;
          if (event.event) watcher.happened(event, before);
          else watcher.told?.(event.comment ? texts.servers.kafka : "");
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      const why = await whyAway(error);
      if (signal.aborted) return;
      watcher.away(why);
    }
    await elapsed(pause * (0.75 + Math.random() / 2), signal);
    pause = Math.min(LONGEST_PAUSE_MS, pause * 2);
  }
}

async function whyAway(error: unknown): Promise<string> {
  if (!(error instanceof Failure)) return texts.away;
  return (error.status >= 500 && (await whatIsWrong())) || texts.noStream(error.message);
}

async function* pieces(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    yield decoder.decode(read.value, { stream: true });
  }
}

function elapsed(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}
