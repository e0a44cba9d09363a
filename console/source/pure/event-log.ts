// Keeps the newest events that a page shows: each once, newest first, and not more than a page can hold.
export const EVENTS_KEPT = 200;

export interface Entry {
  galleryId: string;
  sequence: number;
  type: string;
  time: string;
  /** Partition and offset on the topic, such as `3-17`; empty if not known. */
  place: string;
}

export class EventLog {
  entries: readonly Entry[] = [];
  /** Whether an entry was left out because there were too many. */
  isCut = false;

  /** Add entries; those that are there already are passed over. Returns how many were new. */
  add(added: readonly Entry[]): number {
    const known = new Set(this.entries.map(keyOf));
    const fresh = added.filter((entry) => !known.has(keyOf(entry)));
    if (fresh.length === 0) return 0;
    const all = [...fresh, ...this.entries].sort(newestFirst);
    this.isCut ||= all.length > EVENTS_KEPT;
    this.entries = all.slice(0, EVENTS_KEPT);
    return fresh.length;
  }
}

const keyOf = (entry: Entry) => `${entry.galleryId}/${entry.sequence}`;

function newestFirst(one: Entry, other: Entry): number {
  if (one.galleryId === other.galleryId) return other.sequence - one.sequence;
  return one.time < other.time ? 1 : one.time > other.time ? -1 : 0;
}

/** The place of an event, from the ids of the stream before and with it. They differ in the event's partition only. */
export function placeBetween(before: string, after: string): string {
  const known = new Set(before.split(","));
  const changed = after.split(",").filter((part) => !known.has(part));
  const [partition, next] = changed.length === 1 ? changed[0]!.split(":") : [];
  return before && partition && next ? `${partition}-${Number(next) - 1}` : "";
}
