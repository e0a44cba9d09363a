// Reads the items that a gallery's grid shows, and moves them: shown at once, confirmed or taken back by the answer.
import { useRef, useState } from "preact/hooks";
import { GALLERIES, readGallery, readItems, type Gallery, type Item } from "../api.ts";
import { PAGE_ITEMS } from "../pure/item-pages.ts";
import { after, moveTo, targetOf, type Target } from "../pure/moving.ts";
import { ShownItems } from "../pure/shown-items.ts";
import { reasonOf } from "../servers.ts";
import type { Session } from "../session.ts";
import { texts } from "../texts.ts";
import { moveItems } from "../writes.ts";
import { useWatched, type Watched } from "./watching.ts";

export interface Items {
  gallery: Gallery | null;
  isDeleted: boolean;
  shown: ShownItems<Item>;
  watched: Watched;
  /** Move items to the gap before the item at `gap`. The result is the first new place, if the move is shown at once. */
  move: (ids: ReadonlySet<string>, gap: number) => number | null;
  /** What happened to the last move, in words. */
  moved: string;
  /** The ids from one place to before another, read where they are not known. */
  idsOf: (first: number, end: number) => Promise<string[]>;
}

/** The part of the grid to read. It changes while one scrolls. */
export interface Part {
  first: number;
  end: number;
}

/** `gone` is called for each item that is deleted. */
export function useItems(
  session: Session, id: string, part: Readonly<Part>, gone: (itemId: string) => void, signOut: (why: string) => void,
): Items {
  const [gallery, setGallery] = useState<Gallery | null>(null);
  const [isDeleted, setDeleted] = useState(false);
  const [moved, setMoved] = useState("");
  const [, setDrawn] = useState(0);
  const shown = useRef(new ShownItems<Item>()).current;
  const headRead = useRef(-1); // the generation of pages at which name and number of items were read
  const queue = useRef<Promise<void>>(Promise.resolve());
  const draw = () => setDrawn((count) => count + 1);

  const watched = useWatched(
    session,
    `${GALLERIES}/${encodeURIComponent(id)}/events`,
    [id],
    async (consistent, signal) => {
      if (isDeleted || shown.isWaiting) return;
      const { begun, pages } = shown;
      const { generation } = pages;
      const head = headRead.current === generation ? null : await readGallery(session, id, consistent, signal);
      const read: [number, Item[]][] = [];
      for (const page of pages.needed(part.first, Math.max(part.end, 1))) {
        read.push([page, await readItems(session, id, page * PAGE_ITEMS, PAGE_ITEMS, consistent, signal)]);
      }
      if (shown.begun !== begun || shown.isWaiting) return; // the end of that move reads again
      shown.store(read, generation);
      if (head) {
        setGallery(head);
        headRead.current = generation;
      }
      draw();
    },
    (event) => {
      shown.pages.changed();
      if (event?.event === "deleted") setDeleted(true);
      if (event?.event === "gallery_item_deleted") gone(deletedItem(event.data));
    },
    signOut,
  );

  function move(ids: ReadonlySet<string>, gap: number): number | null {
    const total = gallery?.totalItems ?? 0;
    const known = [...shown.placesOf(ids)].sort((one, other) => one[1] - other[1]);
    if (known.length < ids.size) {
      // Some were selected elsewhere, and are not kept any more: their places are not known, so nothing is shown yet.
      const inOrder = [...known.map(([itemId]) => itemId), ...[...ids].filter((itemId) => !known.some(([one]) => one === itemId))];
      send(inOrder, () => targetAt(gap, ids));
      return null;
    }
    const planned = moveTo(known.map(([, place]) => place), known.map(([, place]) => shown.at(place) as Item), gap);
    if (planned === null) return null;
    const next = after(planned, planned.to + planned.from.length);
    const target = targetOf(planned, total, (place) => shown.at(place)?.id);
    const end = shown.begin(planned);
    draw();
    send(known.map(([itemId]) => itemId), async () => target ?? targetAt("was" in next ? next.was : 0, ids), end);
    return planned.to;
  }

  /** Ask for a move, after those before it. `end` ends what is shown of it. */
  function send(itemIds: string[], target: () => Promise<Target>, end: (isDone: boolean) => void = () => {}) {
    setMoved("");
    queue.current = queue.current.then(async () => {
      try {
        const done = await moveItems(session, id, itemIds, await target());
        end(true);
        shown.pages.changed();
        if (!shown.isWaiting) setMoved(texts.editing.moved(itemIds.length));
        watched.again(done.consistent);
      } catch (error) {
        end(false);
        setMoved(texts.editing.notMoved(await reasonOf(error)));
        watched.again();
      }
    });
  }

  /** Before the first item from this place on that is not moved itself. */
  async function targetAt(gap: number, moving: ReadonlySet<string>): Promise<Target> {
    for (let place = gap; ; place += PAGE_ITEMS) {
      const items = await readItems(session, id, place, PAGE_ITEMS, "", new AbortController().signal);
      const other = items.find((item) => !moving.has(item.id));
      if (other) return { before: other.id };
      if (items.length < PAGE_ITEMS) return { to: "end" };
    }
  }

  async function idsOf(first: number, end: number): Promise<string[]> {
    const ids: string[] = [];
    for (let place = first; place < end; place += 1) {
      const item = shown.at(place);
      if (item) {
        ids.push(item.id);
        continue;
      }
      const read = await readItems(session, id, place, Math.min(PAGE_ITEMS, end - place), "", new AbortController().signal);
      if (read.length === 0) break;
      ids.push(...read.map((one) => one.id));
      place += read.length - 1;
    }
    return [...new Set(ids)];
  }

  return { gallery, isDeleted, shown, watched, move, moved, idsOf };
}

function deletedItem(event: string): string {
  const told = JSON.parse(event) as { actionEvent?: { body?: { itemId?: string } } };
  return told.actionEvent?.body?.itemId ?? "";
}
