// Shows one listener: its health, its settings, what can be done with it, and its deliveries.
import { useState } from "preact/hooks";
import {
  deleteListener, EVENT_TYPES, readListener, rotateSecret, sendTest, setListener, type Listener, type ListenerHealth, type Secret,
} from "../../listeners-api.ts";
import { dateOf } from "../../pure/dates.ts";
import { nextReadIn } from "../../pure/listener-health.ts";
import type { Session } from "../../session.ts";
import { texts } from "../../texts.ts";
import { Facts } from "../facts.tsx";
import { Notice } from "../notice.tsx";
import { ListenerForm } from "./form.tsx";
import { Figures, StateBadge, Troubles } from "./glance.tsx";
import { DeliveryLog, useLog } from "./log.tsx";
import { useAction, useRefreshed } from "./refreshing.ts";
import { NewSecret, Verification } from "./secret.tsx";
import { SendingAgain } from "./sending-again.tsx";

const words = texts.listeners;
const OVERLAP_SECONDS = 86_400;

interface Props {
  session: Session;
  id: string;
  /** The key, if the listener was created just now. */
  made: Secret | null;
  signOut: (why: string) => void;
}

interface Shown {
  listener: Listener;
  health: ListenerHealth | undefined;
  hasRelay: boolean;
}

export function ListenerPage({ session, id, made, signOut }: Props) {
  const [shown, setShown] = useState<Shown | null>(null);
  const [secret, setSecret] = useState(made);
  const [asked, setAsked] = useState<"delete" | "rotate" | "edit" | "">("");
  const [tested, setTested] = useState("");
  const { isBusy, failed, act } = useAction(signOut);
  const log = useLog(session, id);
  const { problem, again } = useRefreshed(session, [id, log.filter, log.cursor], async (signal) => {
    const [found] = await Promise.all([readListener(session, id, signal), log.read(signal)]);
    setShown(found);
    return found.health === undefined ? null : nextReadIn(found.listener.status, found.health, found.hasRelay, Date.now());
  }, signOut);

  function then(work: () => Promise<unknown>) {
    void act(async () => {
      await work();
      setAsked("");
      again();
    });
  }

  if (shown === null) {
    return (
      <main>
        <p><a href="#/listeners">{words.back}</a></p>
        {problem ? <Notice text={problem} retry={again} /> : <p role="status">{texts.loading}</p>}
      </main>
    );
  }
  const { listener, health, hasRelay } = shown;
  const isStopped = listener.status !== "active";
  return (
    <main>
      <p><a href="#/listeners">{words.back}</a></p>
      <h1>{listener.url}</h1>
      {problem && <Notice text={problem} retry={again} />}
      {health && <Troubles status={listener.status} health={health} hasRelay={hasRelay} />}
      {listener.problem && <Notice text={listener.problem} />}
      {secret && <NewSecret made={secret} hide={() => setSecret(null)} />}
      {health && <p><StateBadge status={listener.status} health={health} /></p>}
      {health && <Figures health={health} isLong />}
      {failed && <Notice text={failed} />}
      <p class="row">
        <button disabled={isBusy} onClick={() => then(() => setListener(session, id, isStopped ? "resume" : "pause"))}>
          {isStopped ? words.resume : words.pause}
        </button>
        <button disabled={isBusy || isStopped} onClick={() => then(async () => setTested((await sendTest(session, id)).id))}>{words.test}</button>
        <button disabled={isBusy} onClick={() => setAsked("edit")}>{words.edit}</button>
        <button disabled={isBusy} onClick={() => setAsked("rotate")}>{words.rotate}</button>
        <button disabled={isBusy} onClick={() => setAsked("delete")}>{words.remove}</button>
      </p>
      {tested && <p role="status">{words.testSent} <a href={`#/listeners/${id}/${tested}`}>{words.showDelivery}</a></p>}
      {asked === "edit" && (
        <ListenerForm session={session} signOut={signOut} listener={listener} changed={() => { setAsked(""); again(); }} cancel={() => setAsked("")} />
      )}
      {asked === "rotate" && (
        <Question
          text={listener.format === "wix-jwt" ? words.rotateAskToken : words.rotateAsk}
          yes={() => then(async () => setSecret(await rotateSecret(session, id, OVERLAP_SECONDS)))}
          no={() => setAsked("")}
        />
      )}
      {asked === "delete" && (
        <Question
          text={words.removeAsk}
          yes={() => void act(async () => { await deleteListener(session, id); location.hash = "#/listeners"; })}
          no={() => setAsked("")}
        />
      )}
      <Facts of={factsOf(listener)} />
      <Verification format={listener.format} />
      <SendingAgain session={session} id={id} dead={health?.dead ?? 0} signOut={signOut} changed={again} />
      <DeliveryLog id={id} shown={log} />
    </main>
  );
}

function Question({ text, yes, no }: { text: string; yes: () => void; no: () => void }) {
  return (
    <p class="notice" role="alert">
      {text} <button onClick={yes}>{words.confirm}</button> <button onClick={no}>{words.cancel}</button>
    </p>
  );
}

function factsOf(listener: Listener): [string, string | null][] {
  const { fields } = words;
  return [
    [fields.description, listener.description],
    [fields.eventTypes, EVENT_TYPES.filter((type) => listener.eventTypes.includes(type)).map((type) => words.eventTypes[type]).join(", ")],
    [fields.galleries, listener.galleryIds?.join(", ") ?? fields.allGalleries],
    [fields.format, words.formats[listener.format] ?? listener.format],
    [fields.isOrdered, listener.ordered ? words.yes : words.no],
    [fields.timeout, String(listener.timeoutSeconds)],
    [fields.rateLimit, listener.rateLimit === null ? null : String(listener.rateLimit)],
    [fields.retries, words.retriesOf(listener.retryProfile, listener.retryDelays.length)],
    [fields.created, dateOf(listener.createdDate)],
    [fields.id, listener.id],
  ];
}
