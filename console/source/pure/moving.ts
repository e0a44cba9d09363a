// Shows moves of items before the gateway has confirmed them, and says what to ask the gateway for.

/** Items that are taken out of the order and put back as one block. */
export interface Move<Item> {
  /** The places of the moved items in the order before the move, ascending. */
  from: readonly number[];
  /** The moved items, in the order in which they are put back. */
  block: readonly Item[];
  /** How many of the other items are before the block. */
  to: number;
}

/** Where the gateway is to put items. */
export type Target = { before: string } | { to: "start" } | { to: "end" };

/** What is at `index` after the move: an item of the block, or the place that the item had before. */
export function after<Item>(move: Move<Item>, index: number): { item: Item } | { was: number } {
  const { from, block, to } = move;
  const moved = index < to ? undefined : block[index - to];
  if (moved !== undefined) return { item: moved };
  const rank = index < to ? index : index - block.length;
  // The other item of this rank: as many of the moved ones are before it as have fewer than `rank` others before them.
  let low = 0;
  let high = from.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((from[middle] as number) - middle <= rank) low = middle + 1;
    else high = middle;
  }
  return { was: rank + low };
}

/** Where an item is after the move that was at `was` before. */
export function placeAfter(move: Move<unknown>, was: number): number {
  const { from, block, to } = move;
  let before = 0;
  while (before < from.length && (from[before] as number) < was) before += 1;
  if (from[before] === was) return to + before;
  const rank = was - before;
  return rank < to ? rank : rank + block.length;
}

/** The move of the items at these places to the gap before the item at `gap`; null if it changes nothing. */
export function moveTo<Item>(places: readonly number[], items: readonly Item[], gap: number): Move<Item> | null {
  const order = places.map((place, number) => ({ place, item: items[number] as Item }))
    .sort((one, other) => one.place - other.place);
  const from = order.map(({ place }) => place);
  const to = gap - from.filter((place) => place < gap).length;
  const isSame = from.every((place, number) => place === to + number);
  return isSame || from.length === 0 ? null : { from, block: order.map(({ item }) => item), to };
}

/** What to ask the gateway for; null if the item that follows the block is not known. */
export function targetOf(
  move: Move<unknown>, total: number, idAt: (index: number) => string | undefined,
): Target | null {
  if (move.to === 0) return { to: "start" };
  if (move.to + move.from.length >= total) return { to: "end" };
  const next = after(move, move.to + move.from.length);
  const id = "was" in next ? idAt(next.was) : undefined;
  return id === undefined ? null : { before: id };
}

/** The gap to which a key moves the items at these places, with columns for the rows; null if the key does not move. */
export function gapOf(key: string, places: readonly number[], total: number, columns: number): number | null {
  const first = Math.min(...places);
  const last = Math.max(...places);
  const gaps: Record<string, number> = {
    ArrowLeft: first - 1,
    ArrowRight: last + 2,
    ArrowUp: first - columns,
    ArrowDown: last + 1 + columns,
    Home: 0,
    End: total,
  };
  const gap = gaps[key];
  return gap === undefined ? null : Math.max(0, Math.min(total, gap));
}

/** The gap that brings the first of the items at these places to `place`. */
export function gapFor(place: number, places: readonly number[]): number {
  let [gap, others] = [0, 0];
  const moving = new Set(places);
  while (others < place) {
    if (!moving.has(gap)) others += 1;
    gap += 1;
  }
  return gap;
}

/** The gap that is nearest to a point of the grid, in pixels from its top left corner. */
export function gapAt(
  x: number, y: number, grid: { columns: number; width: number; rowHeight: number; total: number },
): number {
  const row = Math.max(0, Math.floor(y / grid.rowHeight));
  const column = Math.max(0, Math.min(grid.columns, Math.round((x / grid.width) * grid.columns)));
  return Math.min(grid.total, row * grid.columns + column);
}
