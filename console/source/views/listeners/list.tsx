// Lists the listeners of the site, a page at a time, with their health at a glance.
import { useState } from "preact/hooks";
import { readListeners } from "../../listeners-api.ts";
import { nextReadIn } from "../../pure/listener-health.ts";
import type { Session } from "../../session.ts";
import { texts } from "../../texts.ts";
import { Notice } from "../notice.tsx";
import { Figures, StateBadge } from "./glance.tsx";
import { useRefreshed } from "./refreshing.ts";

const words = texts.listeners;
type Page = Awaited<ReturnType<typeof readListeners>>;

export function ListenerList({ session, signOut }: { session: Session; signOut: (why: string) => void }) {
  const [cursor, setCursor] = useState<string | null>(null);
  const [shown, setShown] = useState<Page | null>(null);
  const { problem, again } = useRefreshed(session, [cursor], async (signal) => {
    const page = await readListeners(session, cursor, signal);
    setShown(page);
    const pauses = page.listeners.flatMap((one) => {
      const health = page.health.get(one.id);
      return (health && nextReadIn(one.status, health, page.hasRelay, Date.now())) ?? [];
    });
    return pauses.length === 0 ? null : Math.min(...pauses);
  }, signOut);

  return (
    <main>
      <h1>{words.title}</h1>
      <p>{words.about} <a href="#/listeners/new">{words.create}</a></p>
      {problem && <Notice text={problem} retry={again} />}
      {shown === null ? !problem && <p role="status">{texts.loading}</p> : (
        <>
          {shown.listeners.length > 0 && !shown.hasRelay && <Notice text={words.troubles.relay} />}
          {shown.listeners.length === 0 && cursor === null && <p>{words.none}</p>}
          <ul class="blocks">
            {shown.listeners.map((listener) => {
              const health = shown.health.get(listener.id);
              return (
                <li key={listener.id}>
                  <p>
                    <a href={`#/listeners/${listener.id}`}>{listener.url}</a>{" "}
                    {health && <StateBadge status={listener.status} health={health} />}
                  </p>
                  {listener.description && <p class="help">{listener.description}</p>}
                  {health && <Figures health={health} />}
                </li>
              );
            })}
          </ul>
          {(cursor !== null || shown.cursor !== null) && (
            <nav aria-label={words.title}>
              <button disabled={cursor === null} onClick={() => setCursor(null)}>{words.first}</button>
              <button disabled={shown.cursor === null} onClick={() => setCursor(shown.cursor)}>{words.more}</button>
            </nav>
          )}
        </>
      )}
    </main>
  );
}
