// Counts dead letters by reason.
export interface Reasoned {
  reason: string;
}

/** The reasons with the numbers of dead letters, the most frequent one first. */
export function byReason(letters: readonly Reasoned[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const { reason } of letters) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts].sort(([one, few], [other, many]) => many - few || (one < other ? -1 : 1));
}
