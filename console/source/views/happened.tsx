// Shows what happens in a site or a gallery: the last events, and those that come, until it is paused.
import { useEffect, useRef, useState } from "preact/hooks";
import { Failure, GALLERIES } from "../api.ts";
import { follow } from "../live.ts";
import { EVENTS_KEPT, EventLog, placeBetween, type Entry } from "../pure/event-log.ts";
import { readRecent, type PlacedEvent } from "../requests.ts";
import type { Session } from "../session.ts";
import { texts } from "../texts.ts";
import { EventList } from "./event-list.tsx";
import { HappenedFilter } from "./happened-filter.tsx";
import { PastEvents } from "./past-events.tsx";
import { Notice } from "./notice.tsx";

interface Shown {
  entries: readonly Entry[];
  isCut: boolean;
}

const NOTHING: Shown = { entries: [], isCut: false };

export function Happened(
  { session, galleryId, signOut }: { session: Session; galleryId: string; signOut: (why: string) => void },
) {
  const [type, setType] = useState("");
  const [shown, setShown] = useState<Shown>(NOTHING);
  const [examined, setExamined] = useState<number | null>(null);
  const [isRead, setRead] = useState(false);
  const [isPaused, setPaused] = useState(false);
  const [waiting, setWaiting] = useState(0);
  const [problem, setProblem] = useState("");
  const [isLive, setLive] = useState(false);
  const log = useRef(new EventLog());
  const paused = useRef(false);

  function show() {
    setShown({ entries: log.current.entries, isCut: log.current.isCut });
    setWaiting(0);
  }

  function add(entries: readonly Entry[]) {
    const added = log.current.add(entries);
    if (paused.current) setWaiting((count) => count + added);
    else if (added) show();
  }

  function pause(wanted: boolean) {
    paused.current = wanted;
    setPaused(wanted);
    if (!wanted) show();
  }

  useEffect(() => {
    const own = new AbortController();
    log.current = new EventLog();
    setShown(NOTHING);
    setRead(false);
    setWaiting(0);
    const failed = (error: unknown) => {
      if (own.signal.aborted) return;
      if (error instanceof Failure && error.status === 401) signOut(error.message);
      else setProblem(error instanceof Failure ? error.message : String(error));
    };
    const recent = () =>
      readRecent(session, galleryId, type, own.signal).then((answer) => {
        setProblem("");
        setRead(true);
        setExamined(answer.isWhole ? null : answer.examined);
        add(answer.events.map(entryOf));
      }).catch(failed);
    const path = galleryId ? `${GALLERIES}/${encodeURIComponent(galleryId)}/events` : "progallery/v2/events";
    void recent();
    const stop = follow(session, path, {
      opened(isResumed) {
        setLive(true);
        if (isResumed) setProblem("");
        else void recent(); // what happened between the first read and now
      },
      happened(event, before) {
        if (type && event.event !== type) return;
        const told = JSON.parse(event.data) as { entityId: string; entityEventSequence: string; eventTime: string };
        add([{
          galleryId: told.entityId,
          sequence: Number(told.entityEventSequence),
          type: event.event,
          time: told.eventTime,
          place: placeBetween(before, event.id),
        }]);
      },
      away(why) {
        setLive(false);
        setProblem(why);
      },
      told(why) {
        setLive(!why);
        setProblem(why);
      },
      refused(failure) {
        setLive(false);
        failed(failure);
      },
    });
    return () => {
      own.abort();
      stop();
    };
  }, [galleryId, type]);

  const { happened } = texts;
  return (
    <main>
      <h1>{happened.title}</h1>
      <HappenedFilter key={galleryId} galleryId={galleryId} type={type} setType={setType} />
      {problem && <Notice text={problem} />}
      <div class="bar">
        <button onClick={() => pause(!isPaused)}>{isPaused ? happened.resume : happened.pause}</button>
        {galleryId && <a href={`#/galleries/${encodeURIComponent(galleryId)}`}>{happened.showGallery}</a>}
        <p role="status">{isPaused ? happened.paused(waiting) : isLive && !problem && happened.live}</p>
      </div>
      {!isRead && !problem && <p role="status">{texts.loading}</p>}
      {isRead && shown.entries.length === 0 && <p>{happened.none}</p>}
      <EventList label={happened.events} entries={shown.entries} />
      {shown.isCut && <p class="help">{happened.kept(EVENTS_KEPT)}</p>}
      {examined !== null && <p class="help">{happened.part(examined)}</p>}
      {galleryId && <PastEvents key={`${galleryId} ${type}`} session={session} galleryId={galleryId} type={type} />}
    </main>
  );
}

function entryOf(event: PlacedEvent): Entry {
  const place = event.place ? `${event.place.partition}-${event.place.offset}` : "";
  return { galleryId: event.galleryId, sequence: event.sequence, type: event.type, time: event.time, place };
}
