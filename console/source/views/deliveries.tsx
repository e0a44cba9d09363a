// Shows the deliveries that an event has caused, with their attempts.
import type { Delivery } from "../requests.ts";
import { texts } from "../texts.ts";

export function Deliveries({ deliveries }: { deliveries: Delivery[] | null }) {
  const { happened } = texts;
  return (
    <section aria-label={happened.deliveries}>
      <h2>{happened.deliveries}</h2>
      {deliveries === null && <p>{happened.mayNotSee}</p>}
      {deliveries?.length === 0 && <p>{happened.noDeliveries}</p>}
      {deliveries?.map((one) => (
        <div key={one.id}>
          <h3>{happened.listener(one.listenerId)}</h3>
          <p>{happened.status(one.status, one.attempts)}</p>
          {one.nextAttemptDate && <p>{happened.next(one.nextAttemptDate)}</p>}
          {one.log.length > 0 && (
            <ol aria-label={happened.attempts}>
              {one.log.map((attempt) => (
                <li key={attempt.date}>
                  <time dateTime={attempt.date}>{attempt.date}</time>{" "}
                  {happened.attempt(attempt.status ?? null, attempt.failure ?? null, attempt.latencySeconds)}
                </li>
              ))}
            </ol>
          )}
        </div>
      ))}
      {deliveries && deliveries.length > 0 && <p class="help">{happened.manual}</p>}
    </section>
  );
}
