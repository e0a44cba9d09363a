// Keeps which items are selected, and changes that by clicks and keys.
import { useRef, useState } from "preact/hooks";
import type { Item } from "../api.ts";
import { NOTHING, only, ranged, rangeOf, SELECTED_MAX, toggled, type Selection } from "../pure/selection.ts";
import { texts } from "../texts.ts";

/** The keys that were held. */
export interface Held {
  shiftKey: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
}

export interface Selecting {
  ids: ReadonlySet<string>;
  /** Why less was selected than was asked for. */
  problem: string;
  /** Select by a click on the item at a place, or by a move to it. */
  pick: (index: number, item: Item | undefined, held: Held) => void;
  /** Select the item at a place, if it was not known when it was picked. */
  arrived: (index: number, item: Item | undefined) => void;
  toggle: (index: number, item: Item | undefined) => void;
  all: (total: number) => void;
  clear: () => void;
  /** The item was deleted. */
  forget: (id: string) => void;
  selectOnly: (index: number, item: Item) => void;
}

/** `idsOf` finds the ids from one place to before another. Without `canSelectMany`, only one item is selected. */
export function useSelection(
  canSelectMany: boolean, idsOf: (first: number, end: number) => Promise<string[]>,
): Selecting {
  const [selection, setSelection] = useState<Selection>(NOTHING);
  const [problem, setProblem] = useState("");

  const asked = useRef(0); // the number of the last change: ids that were read for an earlier one are too late
  const awaited = useRef<number | null>(null); // the place that was picked before its item was read

  function set(next: Selection) {
    asked.current += 1;
    awaited.current = null;
    setProblem(next.ids.size > SELECTED_MAX ? texts.editing.tooMany : "");
    if (next.ids.size <= SELECTED_MAX) setSelection(next);
  }

  function range(anchor: number, index: number) {
    const { first, end } = rangeOf(anchor, index);
    const number = (asked.current += 1);
    awaited.current = null;
    setProblem(end - first < Math.abs(index - anchor) + 1 ? texts.editing.tooMany : "");
    idsOf(first, end).then(
      (ids) => { if (asked.current === number) setSelection(ranged({ ids: new Set(), anchor }, ids)); },
      (error: unknown) => setProblem(error instanceof Error ? error.message : String(error)),
    );
  }

  return {
    ids: selection.ids,
    problem,
    pick(index, item, held) {
      if (canSelectMany && held.shiftKey) range(selection.anchor, index);
      else if (item === undefined) {
        set({ ids: new Set(), anchor: index });
        awaited.current = index;
      } else if (canSelectMany && (held.ctrlKey || held.metaKey)) set(toggled(selection, item.id, index));
      else set(only(item.id, index));
    },
    arrived(index, item) {
      if (item && awaited.current === index) set(only(item.id, index));
    },
    toggle(index, item) {
      if (item) set(canSelectMany ? toggled(selection, item.id, index) : only(item.id, index));
    },
    all(total) {
      if (canSelectMany && total > 0) range(0, total - 1);
    },
    clear: () => set(NOTHING),
    forget(id) {
      setSelection((now) => (now.ids.has(id) ? toggled(now, id, now.anchor) : now));
    },
    selectOnly: (index, item) => set(only(item.id, index)),
  };
}
