// Says in words why a request failed, and which server of the gateway does not answer.
import { Failure } from "./api.ts";
import { troubleOf } from "./pure/readiness.ts";
import { texts } from "./texts.ts";

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 15_000;
const TOO_MANY = 429;
const LATE = 504;

/** What is wrong in words; empty if the gateway is ready. */
export async function whatIsWrong(): Promise<string> {
  try {
    const answer = await fetch("health/ready", { cache: "no-store" });
    const trouble = troubleOf(answer.ok, await answer.json().catch(() => null));
    return trouble === null ? "" : texts.servers[trouble];
  } catch {
    return texts.away;
  }
}

/** Why a request failed, in words: which server is missing, if it is that. */
export async function reasonOf(error: unknown): Promise<string> {
  const said = error instanceof Error ? error.message : String(error);
  return isOfServers(error) ? (await whatIsWrong()) || said : said;
}

/** Whether the same request may succeed later. */
export function mayPass(error: unknown): boolean {
  return error instanceof Failure && (isOfServers(error) || error.status === TOO_MANY || error.status === LATE);
}

/** How long to wait after this many failures before the next request. */
export function pauseAfter(failures: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1));
}

function isOfServers(error: unknown): boolean {
  return error instanceof Failure && (error.status === 0 || (error.status >= 500 && error.status !== LATE));
}
