// Shows one change from the command to the receivers: times, command, event, joined record, deliveries.
import { useEffect, useState } from "preact/hooks";
import { Failure } from "../api.ts";
import { stepsOf } from "../pure/steps.ts";
import { readChange, readDeliveries, type Change as ChangeData, type Delivery } from "../requests.ts";
import type { Session } from "../session.ts";
import { texts } from "../texts.ts";
import { Deliveries } from "./deliveries.tsx";
import { Facts } from "./facts.tsx";
import { Json } from "./json.tsx";
import { Notice } from "./notice.tsx";

const { happened } = texts;

export function Change({ session, galleryId, sequence, place, signOut }: {
  session: Session; galleryId: string; sequence: string; place: string; signOut: (why: string) => void;
}) {
  const [change, setChange] = useState<ChangeData | null>(null);
  const [deliveries, setDeliveries] = useState<Delivery[] | null>(null);
  const [problem, setProblem] = useState("");
  const [times, setTimes] = useState(0);

  useEffect(() => {
    const own = new AbortController();
    async function read() {
      try {
        const found = await readChange(session, galleryId, sequence, place, own.signal);
        setChange(found);
        if (session.scopes.includes("listeners")) {
          setDeliveries(await readDeliveries(session, String(found.event.event.id), own.signal));
        }
        setProblem("");
      } catch (error) {
        if (own.signal.aborted) return;
        if (error instanceof Failure && error.status === 401) signOut(error.message);
        else setProblem(error instanceof Failure ? error.message : String(error));
      }
    }
    void read();
    return () => own.abort();
  }, [times]);

  return (
    <main>
      <p class="row">
        <a href="#/happened">{happened.back}</a>
        <a href={`#/happened/${encodeURIComponent(galleryId)}`}>{happened.ofGallery}</a>
        <button onClick={() => setTimes((count) => count + 1)}>{happened.again}</button>
      </p>
      {problem && <Notice text={problem} />}
      {change === null ? !problem && <p role="status">{texts.loading}</p> : <Known change={change} deliveries={deliveries} />}
    </main>
  );
}

function Known({ change, deliveries }: { change: ChangeData; deliveries: Delivery[] | null }) {
  const { event, command, joined } = change;
  const placeOf = (found: ChangeData["event"]["place"], missing: string) =>
    found ? happened.placeOf(found.topic, found.partition, found.offset) : missing;
  return (
    <>
      <h1>{happened.types[event.type] ?? event.type}, {happened.sequence(event.sequence)}</h1>
      <Steps change={change} deliveries={deliveries ?? []} />
      <h2>{happened.command}</h2>
      {!command ? <p>{happened.noCommand}</p> : (
        <>
          <Facts
            of={[
              [happened.commandId, <code>{command.id}</code>],
              [happened.commandType, command.type ?? happened.noRecord],
              [happened.source, command.source ?? happened.notKnown],
              [happened.place, placeOf(command.place, happened.noRecord)],
              [happened.answer, command.reply ? String(command.reply.outcome) : happened.noAnswer],
            ]}
          />
          {command.reply && <Json value={command.reply} label={happened.answer} />}
        </>
      )}
      <h2>{happened.event}</h2>
      <Facts of={[[happened.place, placeOf(event.place, happened.noRecord)]]} />
      <Json value={event.event} label={happened.event} />
      <h2>{happened.joined}</h2>
      {!joined ? <p>{happened.noRecord}</p> : (
        <>
          <Facts
            of={[
              [happened.joinedKey, <code>{joined.key}</code>],
              [happened.place, placeOf(joined.place, "")],
              [happened.joinedSequence, joined.sequence ? happened.sequence(joined.sequence) : happened.tombstone],
            ]}
          />
          {joined.value ? <Json value={joined.value} label={happened.joined} /> : joined.bytes > 0 && (
            <p>{happened.large(joined.bytes)}</p>
          )}
        </>
      )}
      <Deliveries deliveries={deliveries} />
    </>
  );
}

function Steps({ change, deliveries }: { change: ChangeData; deliveries: Delivery[] }) {
  return (
    <div class="wide" tabIndex={0} role="region" aria-label={happened.steps}>
      <table>
        <caption>{happened.steps}</caption>
        <thead>
          <tr><th scope="col">{happened.step}</th><th scope="col">{happened.time}</th><th scope="col">{happened.after}</th></tr>
        </thead>
        <tbody>
          {stepsOf(change, deliveries).map((step, index) => (
            <tr key={index}>
              <th scope="row">{happened.stepNames[step.name]} {step.detail && <code>{step.detail}</code>}</th>
              <td><time dateTime={step.time}>{step.time}</time></td>
              <td>{step.after} ms</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
