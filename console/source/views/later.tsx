// Deletes after a pause in which one can undo it. Until then no request is sent, so nothing has to be restored.
import { useEffect, useRef, useState } from "preact/hooks";
import { texts } from "../texts.ts";

const PAUSE_MS = 8_000;

export interface Deletion {
  /** What will be deleted, in words. */
  text: string;
  /** The items that will be deleted; none if it is the gallery, or all items. */
  ids: ReadonlySet<string>;
  /** Send the request. `isLeaving` says that the page is being closed. */
  send: (isLeaving: boolean) => Promise<void>;
}

export interface Later {
  pending: Deletion | null;
  /** Begin a pause. A deletion that waits is sent at once. */
  begin: (deletion: Deletion) => void;
  undo: () => void;
  sendNow: () => void;
  /** While somebody points at the choice, or has come to it by keyboard, the pause does not end. */
  hold: (isHeld: boolean) => void;
}

/** Leaving the view, or closing the tab, sends a deletion that waits. */
export function useLater(): Later {
  const [pending, setPending] = useState<Deletion | null>(null);
  const waiting = useRef<Deletion | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);

  function take(): Deletion | null {
    clearTimeout(timer.current);
    const taken = waiting.current;
    waiting.current = null;
    setPending(null);
    return taken;
  }

  function start() {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => void take()?.send(false), PAUSE_MS);
  }

  useEffect(() => {
    const leave = () => void take()?.send(true);
    addEventListener("pagehide", leave);
    return () => {
      removeEventListener("pagehide", leave);
      void take()?.send(false);
    };
  }, []);

  return {
    pending,
    begin(deletion) {
      void take()?.send(false);
      waiting.current = deletion;
      setPending(deletion);
      start();
    },
    undo: () => void take(),
    sendNow: () => void take()?.send(false),
    hold(isHeld) {
      if (isHeld) clearTimeout(timer.current);
      else if (waiting.current) start();
    },
  };
}

export function UndoBar({ later, done }: { later: Later; done: () => void }) {
  if (later.pending === null) return null;
  const end = (choose: () => void) => () => { choose(); done(); };
  return (
    <div
      class="undo"
      role="group"
      aria-label={texts.editing.undo}
      onMouseEnter={() => later.hold(true)}
      onMouseLeave={() => later.hold(false)}
      onFocusIn={() => later.hold(true)}
      onFocusOut={() => later.hold(false)}
    >
      <p role="status">{later.pending.text}</p>
      <button onClick={end(later.undo)}>{texts.editing.undo}</button>
      <button onClick={end(later.sendNow)}>{texts.editing.doNow}</button>
    </div>
  );
}
