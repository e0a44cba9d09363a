// Lists the deliveries of a listener, newest first, a page at a time, by state and event type.
import { useState } from "preact/hooks";
import { EVENT_TYPES, readDeliveries, type Delivery } from "../../listeners-api.ts";
import { dateOf } from "../../pure/dates.ts";
import type { Session } from "../../session.ts";
import { texts } from "../../texts.ts";

const words = texts.listeners;

export interface Filter {
  status: string;
  eventType: string;
}

export interface Log {
  deliveries: readonly Delivery[];
  cursor: string | null;
}

/** Which part of the log is shown. */
export function useLog(session: Session, id: string) {
  const [filter, setFilter] = useState<Filter>({ status: "", eventType: "" });
  const [cursor, setCursor] = useState<string | null>(null);
  const [log, setLog] = useState<Log | null>(null);
  return {
    filter,
    cursor,
    log,
    setFilter: (changed: Partial<Filter>) => { setFilter({ ...filter, ...changed }); setCursor(null); },
    setCursor,
    read: async (signal: AbortSignal) => setLog(await readDeliveries(session, id, filter, cursor, signal)),
  };
}

export function DeliveryLog({ id, shown }: { id: string; shown: ReturnType<typeof useLog> }) {
  const { filter, cursor, log, setFilter, setCursor } = shown;
  return (
    <section aria-labelledby="log-title">
      <h2 id="log-title">{words.log}</h2>
      <div class="row">
        <label>
          {words.state}
          <select value={filter.status} onChange={(event) => setFilter({ status: event.currentTarget.value })}>
            <option value="">{words.allStates}</option>
            {Object.entries(words.statuses).map(([value, name]) => <option key={value} value={value}>{name}</option>)}
          </select>
        </label>
        <label>
          {words.eventType}
          <select value={filter.eventType} onChange={(event) => setFilter({ eventType: event.currentTarget.value })}>
            <option value="">{words.allTypes}</option>
            {EVENT_TYPES.map((type) => <option key={type} value={type}>{words.eventTypes[type]}</option>)}
          </select>
        </label>
      </div>
      {log === null ? <p role="status">{texts.loading}</p> : (
        <>
          {log.deliveries.length === 0 && <p>{log.cursor === null ? words.noDeliveries : words.searchOn}</p>}
          <ul class="lines">
            {log.deliveries.map((delivery) => (
              <li key={delivery.id}>
                <a href={`#/listeners/${id}/${delivery.id}`}>{words.eventTypes[delivery.eventType] ?? delivery.eventType}</a>
                <span class={`badge ${delivery.status}`}>{words.statuses[delivery.status]}</span>
                <span>{words.attempts(delivery.attempts)}{delivery.manual && `, ${words.manual}`}</span>
                <time class="last" dateTime={delivery.createdDate}>{dateOf(delivery.createdDate)}</time>
              </li>
            ))}
          </ul>
          {(cursor !== null || log.cursor !== null) && (
            <nav aria-label={words.log}>
              <button disabled={cursor === null} onClick={() => setCursor(null)}>{words.first}</button>
              <button disabled={log.cursor === null} onClick={() => setCursor(log.cursor)}>{words.more}</button>
            </nav>
          )}
        </>
      )}
    </section>
  );
}
