// Shows how a listener does, in one word and in figures.
import type { ListenerHealth } from "../../listeners-api.ts";
import { queueOf, stateOf, successShare, troublesOf } from "../../pure/listener-health.ts";
import { texts } from "../../texts.ts";
import { Notice } from "../notice.tsx";

const words = texts.listeners;

export function StateBadge({ status, health }: { status: string; health: ListenerHealth }) {
  const state = stateOf(status, health, Date.now());
  return <span class={`badge ${state}`}>{words.states[state]}</span>;
}

export function Troubles({ status, health, hasRelay }: { status: string; health: ListenerHealth; hasRelay: boolean }) {
  return <>{troublesOf(status, health, hasRelay, Date.now()).map((one) => <Notice key={one} text={words.troubles[one]} />)}</>;
}

/** The success rate, the time of answers, the queue and the circuit breaker. */
export function Figures({ health, isLong = false }: { health: ListenerHealth; isLong?: boolean }) {
  const share = successShare(health);
  const queue = queueOf(health);
  const percent = share === null ? words.nothing : `${Math.floor(share * 100)} %`;
  return (
    <dl class="figures">
      <div>
        <dt>{words.success}</dt>
        <dd>{share === null ? percent : words.successOf(percent, health.attempts)}</dd>
      </div>
      <div>
        <dt>{words.slow}</dt>
        <dd>{health.p95Seconds === null ? words.nothing : words.seconds(health.p95Seconds)}</dd>
      </div>
      <div>
        <dt>{words.queue}</dt>
        <dd>
          {words.queueOf(queue.length, queue.hasMore)}
          {isLong && queue.length > 0 && <> ({words.queueParts(health.due, health.later, health.waiting)})</>}
        </dd>
      </div>
      <div><dt>{words.dead}</dt><dd>{words.queueOf(health.dead, health.dead >= 1_000)}</dd></div>
      <div><dt>{words.circuit}</dt><dd>{words.circuits[health.circuit]}</dd></div>
    </dl>
  );
}
