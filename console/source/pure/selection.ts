// Decides which items are selected after a click or a key. Items are known by their ids, because their places change.
export const SELECTED_MAX = 1_000; // what the gateway moves, or deletes, at once

/** The selected ids, in the order of their selection, and the place where a range begins. */
export interface Selection {
  ids: ReadonlySet<string>;
  anchor: number;
}

export const NOTHING: Selection = { ids: new Set(), anchor: 0 };

/** Only this item. */
export function only(id: string, index: number): Selection {
  return { ids: new Set([id]), anchor: index };
}

/** With this item if it was not selected, else without it. */
export function toggled(selection: Selection, id: string, index: number): Selection {
  const ids = new Set(selection.ids);
  if (!ids.delete(id)) ids.add(id);
  return { ids, anchor: index };
}

/** The places of a range, cut to the largest selection on the side of its anchor. */
export function rangeOf(anchor: number, index: number): { first: number; end: number } {
  return anchor <= index
    ? { first: anchor, end: Math.min(index + 1, anchor + SELECTED_MAX) }
    : { first: Math.max(index, anchor + 1 - SELECTED_MAX), end: anchor + 1 };
}

/** The items of a range, which keeps its anchor. */
export function ranged(selection: Selection, ids: Iterable<string>): Selection {
  return { ids: new Set(ids), anchor: selection.anchor };
}
