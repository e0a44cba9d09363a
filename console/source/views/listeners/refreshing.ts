// Reads what a page of listeners shows, when it appears, after events, and as long as deliveries wait.
import { useEffect, useRef, useState } from "preact/hooks";
import { Failure } from "../../api.ts";
import { EVENTS_OF_SITE } from "../../listeners-api.ts";
import { follow } from "../../live.ts";
import { mayPass, pauseAfter, reasonOf, whatIsWrong } from "../../servers.ts";
import type { Session } from "../../session.ts";

const AFTER_EVENT_MS = 1_000; // the relay has planned the deliveries of an event, and most receivers have answered
const FORBIDDEN = 403;

export interface Refreshed {
  /** Why what is shown may be old or missing; empty if all is well. */
  problem: string;
  again: () => void;
}

/**
 * Call `read` when the page appears, when a dependency changes, after events of the site, and when the page is seen
 * again. `read` returns after how many milliseconds to call it again, or null if nothing can change by itself. After a
 * failure it is called again, with pauses.
 */
export function useRefreshed(
  session: Session,
  dependencies: readonly unknown[],
  read: (signal: AbortSignal) => Promise<number | null>,
  signOut: (why: string) => void,
): Refreshed {
  const [problem, setProblem] = useState("");
  const [streamProblem, setStreamProblem] = useState("");
  const current = useRef(read);
  current.current = read;
  const state = useRef({ timer: 0, failures: 0, running: null as AbortController | null }).current;

  function readIn(milliseconds: number | null): void {
    clearTimeout(state.timer);
    if (milliseconds !== null && !document.hidden) state.timer = setTimeout(() => void run(), milliseconds);
  }

  async function run(): Promise<void> {
    clearTimeout(state.timer);
    state.running?.abort();
    const own = new AbortController();
    state.running = own;
    try {
      const next = await current.current(own.signal);
      if (own.signal.aborted) return;
      state.failures = 0;
      setProblem("");
      readIn(next);
    } catch (error) {
      if (own.signal.aborted) return;
      if (error instanceof Failure && error.status === 401) return signOut(error.message);
      const why = await reasonOf(error);
      if (own.signal.aborted) return;
      setProblem(why);
      if (mayPass(error)) readIn(pauseAfter(++state.failures));
    }
  }

  useEffect(() => {
    void run();
    return () => {
      clearTimeout(state.timer);
      state.running?.abort();
    };
  }, dependencies);

  useEffect(() => {
    let isFollowed = false; // something may happen between the first read and the opening of the stream
    const stop = follow(session, EVENTS_OF_SITE, {
      opened: () => {
        setStreamProblem("");
        if (!isFollowed) void run();
        isFollowed = true;
      },
      told: setStreamProblem,
      happened: () => readIn(AFTER_EVENT_MS),
      away: () => {
        isFollowed = false;
        void whatIsWrong().then((why) => { if (!isFollowed) setStreamProblem(why); });
      },
      // A key that may not read galleries is not told of events: the page is read when it is seen again.
      refused: (failure) => { if (failure.status !== FORBIDDEN) setStreamProblem(failure.message); },
    });
    const seen = () => { if (!document.hidden) void run(); };
    document.addEventListener("visibilitychange", seen);
    return () => {
      stop();
      document.removeEventListener("visibilitychange", seen);
    };
  }, []);

  return { problem: streamProblem || problem, again: () => void run() };
}

/** Run an action of a button, and keep what it has to say: whether it runs, and why it failed. */
export function useAction(signOut: (why: string) => void) {
  const [isBusy, setBusy] = useState(false);
  const [failed, setFailed] = useState("");
  async function act(work: () => Promise<void>): Promise<void> {
    setBusy(true);
    setFailed("");
    try {
      await work();
    } catch (error) {
      if (error instanceof Failure && error.status === 401) signOut(error.message);
      else setFailed(await reasonOf(error));
    } finally {
      setBusy(false);
    }
  }
  return { isBusy, failed, act };
}
