// Shows one delivery: what was sent at each attempt, and what came back.
import { useState } from "preact/hooks";
import { readDelivery, resend, type Attempt, type LoggedDelivery } from "../../listeners-api.ts";
import { dateOf } from "../../pure/dates.ts";
import type { Session } from "../../session.ts";
import { texts } from "../../texts.ts";
import { Facts } from "../facts.tsx";
import { Notice } from "../notice.tsx";
import { useAction, useRefreshed } from "./refreshing.ts";

const words = texts.listeners;
const { deliveryFields: names } = words;
const OPEN_AGAIN_MS = 2_000;
const RETRY_AGAIN_MS = 15_000;

interface Props {
  session: Session;
  listenerId: string;
  id: string;
  signOut: (why: string) => void;
}

export function DeliveryPage({ session, listenerId, id, signOut }: Props) {
  const [delivery, setDelivery] = useState<LoggedDelivery | null>(null);
  const [sent, setSent] = useState("");
  const { isBusy, failed, act } = useAction(signOut);
  const { problem, again } = useRefreshed(session, [id], async (signal) => {
    const found = await readDelivery(session, id, signal);
    setDelivery(found);
    if (found.endedDate !== null) return null;
    return found.log.length === 0 ? OPEN_AGAIN_MS : RETRY_AGAIN_MS;
  }, signOut);

  return (
    <main>
      <p><a href={`#/listeners/${listenerId}`}>{words.backToListener}</a></p>
      <h1>{words.delivery}</h1>
      {problem && <Notice text={problem} retry={again} />}
      {delivery === null ? !problem && <p role="status">{texts.loading}</p> : (
        <>
          <p>
            <span class={`badge ${delivery.status}`}>{words.statuses[delivery.status]}</span>{" "}
            {delivery.manual && words.manual}
          </p>
          <Facts of={factsOf(delivery)} />
          {failed && <Notice text={failed} />}
          <p class="row">
            <button disabled={isBusy} onClick={() => void act(async () => setSent((await resend(session, id)).id))}>{words.resend}</button>
            {sent && <span role="status">{words.resent} <a href={`#/listeners/${listenerId}/${sent}`}>{words.showDelivery}</a></span>}
          </p>
          {delivery.log.length === 0 && <p>{words.noAttempts}</p>}
          {delivery.log.map((attempt, index) => (
            <AttemptShown key={attempt.date} attempt={attempt} number={index + 1} isLast={index === delivery.log.length - 1} />
          ))}
          <h2>{isToken(delivery) ? words.bodyOfToken : words.body}</h2>
          {delivery.body === null ? <p>{words.bodyGone}</p> : <pre tabIndex={0}>{pretty(delivery.body)}</pre>}
        </>
      )}
    </main>
  );
}

function isToken(delivery: LoggedDelivery): boolean {
  return delivery.log.some((attempt) => attempt.requestHeaders["content-type"] === "text/plain");
}

function AttemptShown({ attempt, number, isLast }: { attempt: Attempt; number: number; isLast: boolean }) {
  const time = words.seconds(attempt.latencySeconds);
  const outcome = attempt.status === null ? words.failed(attempt.failure ?? "", time) : words.answered(attempt.status, time);
  return (
    <details open={isLast}>
      <summary>{words.attempt(number)}: {outcome}, {dateOf(attempt.date)}</summary>
      {attempt.text && <p>{attempt.text}</p>}
      <h3>{words.request}</h3>
      <pre tabIndex={0}>
        {[`POST ${attempt.url}`, ...Object.entries(attempt.requestHeaders).map(([name, value]) => `${name}: ${value}`)].join("\n")}
      </pre>
      <h3>{words.answer}</h3>
      {attempt.answer ? <pre tabIndex={0}>{attempt.answer}</pre> : <p>{words.noAnswer}</p>}
    </details>
  );
}

function factsOf(delivery: LoggedDelivery): [string, string | null][] {
  const date = (value: string | null) => (value === null ? null : dateOf(value));
  return [
    [words.eventType, words.eventTypes[delivery.eventType] ?? delivery.eventType],
    [names.gallery, delivery.galleryId],
    [names.sequence, delivery.sequence],
    [names.event, delivery.eventId],
    [names.happened, date(delivery.eventTime)],
    [names.next, date(delivery.nextAttemptDate)],
    [names.ended, date(delivery.endedDate)],
    [names.reason, delivery.reason],
    [names.resent, date(delivery.resentDate)],
  ];
}

function pretty(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
