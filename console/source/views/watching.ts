// Reads what a view shows, and reads it again when the stream says that it has changed.
import { useEffect, useRef, useState } from "preact/hooks";
import { Failure } from "../api.ts";
import { follow } from "../live.ts";
import { Positions } from "../pure/positions.ts";
import type { ServerEvent } from "../pure/server-events.ts";
import { mayPass, pauseAfter, reasonOf } from "../servers.ts";
import type { Session } from "../session.ts";
import { texts } from "../texts.ts";

const TOGETHER_MS = 250; // changes of this time are shown by one read

export interface Watched {
  /** Why what is shown may be old or missing; empty if all is well. */
  problem: string;
  isLive: boolean;
  /** Read again now; after a write, with what it has answered as its position. */
  again: (consistent?: string) => void;
}

/**
 * Call `read` when the view appears, when a dependency changes and after events of the stream at `path`.
 * `read` gets the value of `X-Wix-Consistent` with which it sees all those events. `changed` is called for each event,
 * and without one if events may have been missed. After a failure that may pass, it reads again, with pauses.
 */
export function useWatched(
  session: Session,
  path: string,
  dependencies: readonly unknown[],
  read: (consistent: string, signal: AbortSignal) => Promise<void>,
  changed: (event?: ServerEvent) => void,
  signOut: (why: string) => void,
): Watched {
  const [problem, setProblem] = useState("");
  const [streamProblem, setStreamProblem] = useState("");
  const [isLive, setLive] = useState(false);
  const positions = useRef(new Positions());
  const running = useRef<AbortController | null>(null);
  const current = useRef(read);
  current.current = read;

  const isGone = useRef(false);
  const retry = useRef({ timer: 0, failures: 0 }).current;

  async function run(): Promise<void> {
    if (isGone.current) return;
    clearTimeout(retry.timer);
    running.current?.abort();
    const own = new AbortController();
    running.current = own;
    try {
      await current.current(positions.current.header(), own.signal);
      if (own.signal.aborted) return;
      retry.failures = 0;
      setProblem("");
    } catch (error) {
      if (own.signal.aborted) return;
      if (error instanceof Failure && error.status === 401) return signOut(error.message);
      const why = await reasonOf(error);
      if (own.signal.aborted) return;
      setProblem(why);
      if (mayPass(error)) retry.timer = setTimeout(() => void run(), pauseAfter(++retry.failures));
    }
  }

  function again(consistent = "") {
    positions.current.noteAll(consistent);
    void run();
  }

  useEffect(() => () => { isGone.current = true; }, []);

  useEffect(() => {
    void run();
    return () => {
      clearTimeout(retry.timer);
      running.current?.abort();
    };
  }, dependencies);

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let hasGap = false;
    const later = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        void run();
      }, TOGETHER_MS);
    };
    const stop = follow(session, path, {
      opened(isResumed) {
        setStreamProblem("");
        setLive(true);
        if (!isResumed) changed(); // something may have happened between the first read and now
        if (!isResumed || hasGap) later();
        hasGap = false;
      },
      happened(event) {
        const told = JSON.parse(event.data) as { entityId: string; entityEventSequence: string };
        positions.current.note(told.entityId, Number(told.entityEventSequence));
        changed(event);
        later();
      },
      told: setStreamProblem,
      away(why) {
        hasGap = true; // a read may have failed meanwhile
        setLive(false);
        setStreamProblem(why);
      },
      refused(failure) {
        setLive(false);
        if (failure.status === 401) signOut(failure.message);
        else setStreamProblem(texts.noStream(failure.message));
      },
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [path]);

  return { problem: streamProblem || problem, isLive, again };
}
