// Shows the archived events of a gallery, a page at a time, or how to have an archive.
import { useEffect, useRef, useState } from "preact/hooks";
import { Failure } from "../api.ts";
import type { Entry } from "../pure/event-log.ts";
import { readHistory } from "../requests.ts";
import type { Session } from "../session.ts";
import { texts } from "../texts.ts";
import { EventList } from "./event-list.tsx";
import { Notice } from "./notice.tsx";

interface Past {
  entries: Entry[];
  cursor: string;
  first: number | null;
  last: number;
}

export function PastEvents({ session, galleryId, type }: { session: Session; galleryId: string; type: string }) {
  const [past, setPast] = useState<Past | null>(null);
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);
  const own = useRef(new AbortController());
  useEffect(() => () => own.current.abort(), []);

  async function more() {
    setBusy(true);
    setProblem("");
    try {
      const answer = await readHistory(session, galleryId, type, past?.cursor ?? "", own.current.signal);
      const entries = answer.events.map((event) => (
        { galleryId, sequence: event.sequence, type: event.type, time: event.time, place: "" }
      ));
      setPast({
        entries: past?.cursor ? [...past.entries, ...entries] : entries,
        cursor: answer.nextCursor ?? "",
        first: answer.earliestSequence ?? null,
        last: answer.completeThrough,
      });
    } catch (error) {
      if (own.current.signal.aborted) return;
      const isOff = error instanceof Failure && error.status === 409;
      setProblem(isOff ? texts.happened.noHistory : error instanceof Failure ? error.message : String(error));
    }
    setBusy(false);
  }

  const { happened } = texts;
  return (
    <section aria-label={happened.history}>
      <h2>{happened.history}</h2>
      {problem && <Notice text={problem} />}
      {past && <p role="status">{happened.complete(past.first, past.last)}</p>}
      {past && <EventList label={happened.history} entries={past.entries} />}
      {(past === null || past.cursor) && (
        <button disabled={isBusy} onClick={() => void more()}>
          {past === null ? happened.showHistory : happened.olderHistory}
        </button>
      )}
    </section>
  );
}
