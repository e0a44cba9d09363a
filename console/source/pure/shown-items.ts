// Keeps what the grid shows of a gallery: the pages that were read, and moves that the gateway has not confirmed yet.
import { ItemPages } from "./item-pages.ts";
import { after, placeAfter, type Move } from "./moving.ts";

interface Pending<Item> {
  move: Move<Item>;
  /** Whether the gateway has carried it out. The pages do not show it until they were read again. */
  isDone: boolean;
}

export class ShownItems<Item extends { id: string }> {
  readonly pages = new ItemPages<Item>();
  #pending: Pending<Item>[] = [];
  #begun = 0;

  /** Whether a move waits for its answer. Pages that are read now may show it or not, so none may be stored. */
  get isWaiting(): boolean {
    return this.#pending.some(({ isDone }) => !isDone);
  }

  /** How many moves were begun. A read that began before the last one is too old. */
  get begun(): number {
    return this.#begun;
  }

  /** The item at this place, as all moves leave it. */
  at(index: number): Item | undefined {
    let place = index;
    for (const { move } of [...this.#pending].reverse()) {
      const found = after(move, place);
      if ("item" in found) return found.item;
      place = found.was;
    }
    return this.pages.at(place);
  }

  /** The places of those items that are known, by id. */
  placesOf(ids: ReadonlySet<string>): Map<string, number> {
    const places = new Map<string, number>();
    for (const [place, item] of this.pages.kept()) {
      if (!ids.has(item.id)) continue;
      places.set(item.id, this.#pending.reduce((at, { move }) => placeAfter(move, at), place));
    }
    return places;
  }

  /** Show a move at once. The result ends it: with true when it was carried out, with false to take it back. */
  begin(move: Move<Item>): (isDone: boolean) => void {
    const pending = { move, isDone: false };
    this.#pending.push(pending);
    this.#begun += 1;
    return (isDone) => {
      pending.isDone = true;
      if (!isDone) this.#pending = this.#pending.filter((one) => one !== pending);
      this.pages.changed();
    };
  }

  /** Store pages that were read after every move was carried out: they show the moves themselves. */
  store(read: readonly [page: number, items: readonly Item[]][], generation: number): void {
    this.#pending = [];
    for (const [page, items] of read) this.pages.store(page, items, generation);
  }
}
