// Says how far a replay has come, which the gateway carries out one step after the other.
export interface Step {
  queued: number;
  seen: number;
  cursor: string | null;
  /** The time of the last event that was read; null if there was none. */
  throughDate: string | null;
}

export interface Progress {
  queued: number;
  seen: number;
  /** The time that was read through, as a share of the range; null if the range is open or nothing was read. */
  share: number | null;
  isDone: boolean;
}

export const BEGINNING: Progress = { queued: 0, seen: 0, share: null, isDone: false };

/** The progress after a step. `since` and `until` are the ends of the range; without an end, it is now. */
export function after(before: Progress, step: Step, since: string | undefined, until: string | undefined, now: number): Progress {
  const isDone = step.cursor === null;
  const [from, to] = [since ? Date.parse(since) : NaN, until ? Math.min(Date.parse(until), now) : now];
  const through = step.throughDate === null ? NaN : Date.parse(step.throughDate);
  const share = (through - from) / (to - from);
  return {
    queued: before.queued + step.queued,
    seen: before.seen + step.seen,
    share: isDone ? 1 : Number.isFinite(share) ? Math.min(1, Math.max(0, share)) : before.share,
    isDone,
  };
}
