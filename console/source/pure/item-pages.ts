// Keeps the pages of a gallery's items that were read, some screens of them, and says which ones have to be read.
export const PAGE_ITEMS = 100;
const KEPT_PAGES = 20;

interface Page<Item> {
  items: readonly Item[];
  /** How often the gallery had changed when the page was asked for. */
  generation: number;
}

export class ItemPages<Item> {
  readonly #pages = new Map<number, Page<Item>>();
  #generation = 0;

  /** What a read that begins now has to be stored with. */
  get generation(): number {
    return this.#generation;
  }

  /** Note that the gallery has changed: every page has to be read again before it is right. */
  changed(): void {
    this.#generation += 1;
  }

  /** The pages to read for the items from `first` to before `end`: those that are missing or old. */
  needed(first: number, end: number): number[] {
    const found: number[] = [];
    for (let page = Math.floor(first / PAGE_ITEMS); page * PAGE_ITEMS < end; page += 1) {
      if (this.#pages.get(page)?.generation !== this.#generation) found.push(page);
    }
    return found;
  }

  /** Store a page. Pages that are far from it are forgotten. */
  store(page: number, items: readonly Item[], generation: number): void {
    if ((this.#pages.get(page)?.generation ?? -1) > generation) return;
    this.#pages.set(page, { items, generation });
    if (this.#pages.size <= KEPT_PAGES) return;
    const farthest = [...this.#pages.keys()].reduce((a, b) => (Math.abs(b - page) > Math.abs(a - page) ? b : a));
    this.#pages.delete(farthest);
  }

  /** The items of all pages that are kept, with their places. */
  *kept(): Generator<[number, Item]> {
    for (const [page, { items }] of this.#pages) {
      for (const [number, item] of items.entries()) yield [page * PAGE_ITEMS + number, item];
    }
  }

  /** The item at this place, which may be out of date until its page was read again. */
  at(index: number): Item | undefined {
    return this.#pages.get(Math.floor(index / PAGE_ITEMS))?.items[index % PAGE_ITEMS];
  }
}
