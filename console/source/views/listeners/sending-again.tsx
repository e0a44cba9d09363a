// Sends dead deliveries or stored events again, one step after the other, and shows how far that has come.
import { useEffect, useRef, useState } from "preact/hooks";
import { replay, resendDead } from "../../listeners-api.ts";
import { after, BEGINNING, type Progress, type Step } from "../../pure/replaying.ts";
import type { Session } from "../../session.ts";
import { texts } from "../../texts.ts";
import { Notice } from "../notice.tsx";
import { useAction } from "./refreshing.ts";

const words = texts.listeners;

interface Props {
  session: Session;
  id: string;
  dead: number;
  signOut: (why: string) => void;
  /** Called after each step: the log has changed. */
  changed: () => void;
}

interface Range {
  since?: string;
  until?: string;
  galleryId?: string;
}

export function SendingAgain({ session, id, dead, signOut, changed }: Props) {
  const { isBusy, failed, act } = useAction(signOut);
  const [progress, setProgress] = useState<{ of: "dead" | "events"; steps: Progress } | null>(null);
  const [isStopped, setStopped] = useState(false);
  const stop = useRef(false);
  useEffect(() => () => { stop.current = true; }, []);

  function repeat(of: "dead" | "events", range: Range, step: (cursor: string | null) => Promise<Step>) {
    stop.current = false;
    setStopped(false);
    void act(async () => {
      let steps = BEGINNING;
      let cursor: string | null = null;
      do {
        setProgress({ of, steps });
        const answer: Step = await step(cursor);
        steps = after(steps, answer, range.since, range.until, Date.now());
        cursor = answer.cursor;
        changed();
      } while (cursor !== null && !stop.current);
      setProgress({ of, steps });
      setStopped(!steps.isDone);
    });
  }

  function submit(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const at = (name: string) => (form.get(name) ? new Date(String(form.get(name))).toISOString() : undefined);
    const [since, until, galleryId] = [at("since"), at("until"), String(form.get("gallery")).trim()];
    const range = { ...(since && { since }), ...(until && { until }), ...(galleryId && { galleryId }) };
    repeat("events", range, (cursor) => replay(session, id, range, cursor));
  }

  const steps = progress?.steps;
  return (
    <>
      {dead > 0 && (
        <button disabled={isBusy} onClick={() => repeat("dead", {}, (cursor) => resendDead(session, id, cursor))}>
          {words.resendDead}
        </button>
      )}
      <details>
        <summary>{words.replayTitle}</summary>
        <form onSubmit={submit}>
          <p class="help">{words.replayHelp}</p>
          <div class="row">
            <label>{words.since}<input name="since" type="datetime-local" step="1" required /></label>
            <label>{words.until}<input name="until" type="datetime-local" step="1" /></label>
            <label>{words.gallery}<input name="gallery" autocomplete="off" /></label>
          </div>
          <button disabled={isBusy}>{words.replay}</button>
        </form>
      </details>
      {failed && <Notice text={failed} />}
      {steps && (
        <div class="progress">
          {progress.of === "events" && <progress max={1} {...(steps.share !== null && { value: steps.share })} aria-label={words.replayTitle} />}
          <p role="status">
            {progress.of === "dead" ? words.deadOf(steps.queued) : words.replayOf(steps.queued, steps.seen)}{" "}
            {steps.isDone && words.replayDone} {isStopped && words.replayStopped}
          </p>
          {isBusy && <button onClick={() => { stop.current = true; }}>{words.replayStop}</button>}
        </div>
      )}
    </>
  );
}
