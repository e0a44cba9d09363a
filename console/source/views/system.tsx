// Shows how the installation is: what is wrong, servers, consumers, work, processes and dead letters.
import { readSystem, type System as SystemData } from "../requests.ts";
import type { Session } from "../session.ts";
import { texts } from "../texts.ts";
import { Facts } from "./facts.tsx";
import { Jobs } from "./jobs.tsx";
import { Letters } from "./letters.tsx";
import { Notice } from "./notice.tsx";
import { usePolled } from "./polling.ts";
import { Table } from "./table.tsx";

const { system: words } = texts;

export function System({ session, signOut }: { session: Session; signOut: (why: string) => void }) {
  return (
    <main>
      <h1>{words.title}</h1>
      {session.scopes.includes("operate") ? <State session={session} signOut={signOut} /> : <p>{words.mayNotSee}</p>}
      {session.scopes.includes("dead-letters")
        ? <Letters session={session} signOut={signOut} />
        : <p>{words.mayNotSeeLetters}</p>}
    </main>
  );
}

function State({ session, signOut }: { session: Session; signOut: (why: string) => void }) {
  const { value, problem } = usePolled((signal) => readSystem(session, signal), signOut);
  return (
    <>
      {problem && <Notice text={problem} />}
      {value === null ? !problem && <p role="status">{texts.loading}</p> : <Known system={value} />}
    </>
  );
}

function Known({ system }: { system: SystemData }) {
  const { outbox, deliveries } = system;
  const aged = (text: string, seconds: number | null | undefined) =>
    seconds === null || seconds === undefined ? text : `${text}, ${words.oldest(seconds)}`;
  const server = (one: SystemData["kafka"]) => (one.reached ? words.reached : words.notReached(one.problem ?? ""));
  return (
    <>
      <p class="help">{words.asOf(system.at)}</p>
      {system.ok ? <p role="status">{words.well}</p> : (
        <section class="notice" role="alert" aria-label={words.problems}>
          <h2>{words.problems}</h2>
          <ul>{system.problems.map((problem) => <li key={problem}>{problem}</li>)}</ul>
        </section>
      )}
      <h2>{words.servers}</h2>
      <Facts of={[["Kafka", server(system.kafka)], ["MongoDB", server(system.mongodb)]]} />
      <h2>{words.consumers}</h2>
      {!system.lag ? <p>{words.unknown}</p> : (
        <Table
          label={words.consumers}
          heads={[words.group, words.lag, words.behind, words.topic]}
          rows={system.lag.map((lag) => [
            lag.group,
            lag.records === 0 ? words.seconds(0) : lag.oldestSeconds === null ? words.unknown : words.seconds(lag.oldestSeconds),
            String(lag.records),
            lag.topic,
          ])}
        />
      )}
      <h2>{words.work}</h2>
      <Facts
        of={[
          [words.outbox, outbox ? aged(words.outboxRows(outbox.rows), outbox.oldestSeconds) : words.unknown],
          [
            words.deliveries,
            deliveries
              ? aged(words.deliveriesState(deliveries.due, deliveries.dead), deliveries.oldestDueSeconds)
              : words.unknown,
          ],
          [
            words.letters,
            system.deadLetters?.map((one) => <div key={one.topic}>{words.lettersOn(one.topic, one.records)}</div>)
              ?? words.unknown,
          ],
        ]}
      />
      <Jobs jobs={system.jobs} />
      <h2>{words.processes}</h2>
      <p class="help">{words.processesHelp}</p>
      {!system.processes ? <p>{words.unknown}</p> : (
        <Table
          label={words.processes}
          heads={[words.service, words.instance, words.release]}
          rows={system.processes.map((one) => [one.service, one.instance, one.release])}
        />
      )}
    </>
  );
}
