// Decides what is said about a listener at a glance, and when it has to be asked about again.
export interface Health {
  circuit: "closed" | "half-open" | "open";
  attempts: number;
  succeeded: number;
  p95Seconds: number | null;
  due: number;
  oldestDueDate: string | null;
  later: number;
  nextAttemptDate: string | null;
  waiting: number;
}

export type State = "well" | "new" | "failing" | "throttled" | "late" | "paused" | "disabled";
export type Trouble = "relay" | "late" | "throttled" | "disabled";

const COUNTED = 1_000; // the gateway counts no more of each kind
const WELL_SHARE = 0.95;
const LATE_MS = 60_000;

/** The share of the latest attempts that succeeded; null without attempts. */
export function successShare(health: Health): number | null {
  return health.attempts === 0 ? null : health.succeeded / health.attempts;
}

/** How many deliveries wait, and whether there may be more than were counted. */
export function queueOf(health: Health): { length: number; hasMore: boolean } {
  const kinds = [health.due, health.later, health.waiting];
  return { length: kinds.reduce((sum, one) => sum + one, 0), hasMore: kinds.some((one) => one >= COUNTED) };
}

/** The one word about a listener. */
export function stateOf(status: string, health: Health, now: number): State {
  if (status === "disabled") return "disabled";
  if (status === "paused") return "paused";
  if (health.circuit === "half-open") return "throttled";
  if (isLate(health, now)) return "late";
  const share = successShare(health);
  if (share === null) return "new";
  return share < WELL_SHARE ? "failing" : "well";
}

/** What is wrong, the most general first; nothing if deliveries arrive. */
export function troublesOf(status: string, health: Health, hasRelay: boolean, now: number): Trouble[] {
  const found: Trouble[] = [];
  if (!hasRelay) found.push("relay");
  if (status === "disabled") found.push("disabled");
  if (status === "active" && health.circuit === "half-open") found.push("throttled");
  if (status === "active" && hasRelay && isLate(health, now)) found.push("late");
  return found;
}

function isLate(health: Health, now: number): boolean {
  return health.oldestDueDate !== null && now - Date.parse(health.oldestDueDate) > LATE_MS;
}

const SOON_MS = 2_000;
const RARELY_MS = 15_000;

/**
 * After how many milliseconds to ask again; null if nothing can change by itself. While deliveries are sent that is
 * soon; while all of them wait for a retry, it is when the first one is due.
 */
export function nextReadIn(status: string, health: Health, hasRelay: boolean, now: number): number | null {
  if (!hasRelay) return RARELY_MS / 3;
  if (queueOf(health).length === 0) return null;
  if (status !== "active") return RARELY_MS;
  if (health.due > 0 || health.nextAttemptDate === null) return SOON_MS;
  return Math.min(RARELY_MS, Math.max(SOON_MS, Date.parse(health.nextAttemptDate) - now));
}
