// Reads something again every few seconds, while the page is visible.
import { useEffect, useState } from "preact/hooks";
import { Failure } from "../api.ts";

const EVERY_MS = 5_000;

/** The last value that was read, and why the last read failed, if it did. */
export function usePolled<Value>(read: (signal: AbortSignal) => Promise<Value>, signOut: (why: string) => void) {
  const [value, setValue] = useState<Value | null>(null);
  const [problem, setProblem] = useState("");

  useEffect(() => {
    const own = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isReading = false;
    async function run() {
      clearTimeout(timer);
      if (isReading || document.visibilityState !== "visible") return;
      isReading = true;
      try {
        setValue(await read(own.signal));
        setProblem("");
      } catch (error) {
        if (own.signal.aborted) return;
        if (error instanceof Failure && error.status === 401) signOut(error.message);
        else setProblem(error instanceof Failure ? error.message : String(error));
      }
      isReading = false;
      timer = setTimeout(() => void run(), EVERY_MS);
    }
    const changed = () => void run();
    document.addEventListener("visibilitychange", changed);
    void run();
    return () => {
      own.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", changed);
    };
  }, []);

  return { value, problem };
}
