// Puts what is known about one change in the order of time: from the command to the answers of receivers.
export interface Step {
  name: string;
  time: string;
  /** Milliseconds since the first step. */
  after: number;
  detail: string;
}

export interface Known {
  event: { time: string; place?: { date: string } | null };
  command?: { place?: { date: string } | null; carriedOutDate?: string | null } | null;
  joined?: { place: { date: string } } | null;
}

export interface KnownDelivery {
  listenerId: string;
  createdDate: string;
  log: { date: string; status?: number | null; failure?: string | null }[];
}

/** The steps of a change with known times, first one first. */
export function stepsOf(change: Known, deliveries: readonly KnownDelivery[]): Step[] {
  const found: [string, string | null | undefined, string][] = [
    ["command", change.command?.place?.date, ""],
    ["event", change.event.time, ""],
    ["carriedOut", change.command?.carriedOutDate, ""],
    ["published", change.event.place?.date, ""],
    ["joined", change.joined?.place.date, ""],
    ...deliveries.flatMap((one): [string, string, string][] => [
      ["planned", one.createdDate, one.listenerId],
      ...one.log.map((attempt): [string, string, string] => ["attempt", attempt.date, one.listenerId]),
    ]),
  ];
  const known = found.flatMap(([name, time, detail]) => (time ? [{ name, time, at: Date.parse(time), detail }] : []));
  known.sort((one, other) => one.at - other.at);
  return known.map(({ at, ...step }) => ({ ...step, after: at - known[0]!.at }));
}
