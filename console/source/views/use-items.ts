// Reads the items that a gallery's grid shows, and moves them: shown at once, confirmed or taken back by the answer.
import { useRef, useState } from "preact/hooks";
import { GALLERIES, readGallery, readItems, type Gallery, type Item } from "../api.ts";
import { PAGE_ITEMS } from "../pure/item-pages.ts";
import { after, moveTo, targetOf, type Target } from "../pure/moving.ts";
import { ShownItems } from "../pure/shown-items.ts";
import type { Session } from "../session.ts";
import { texts } from "../texts.ts";
import { moveItems } from "../writes.ts";
import { wordsOf } from "./action.tsx";
import { useWatched, type Watched } from "./watching.ts";

export interface Items {
  gallery: Gallery | null;
  isDeleted: boolean;
  shown: ShownItems<Item>;
  watched: Watched;
  /** Move items, of which each has a known place, to the gap before the item at `gap`. The result is the first new place. */
  move: (ids: ReadonlySet<string>, gap: number) => number | null;
  /** What happened to the last move, in words. */
  moved: string;
  /** The ids from one place to before another, read where they are not known. */
  idsOf: (first: number, end: number) => Promise<string[]>;
}

/** The part of the grid to read, which changes while one scrolls; `settled` when it has stayed the same for a moment. */
export interface Part {
  first: number;
  end: number;
  settled: number;
}

export function useItems(session: Session, id: string, part: Part, signOut: (why: string) => void): Items {
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
    [id, part.settled],
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
    },
    signOut,
  );

  function move(ids: ReadonlySet<string>, gap: number): number | null {
    const places = shown.placesOf(ids);
    const known = [...places].sort((one, other) => one[1] - other[1]);
    const items = known.map(([, place]) => shown.at(place));
    const planned = known.length === ids.size && items.every((item) => item !== undefined)
      ? moveTo(known.map(([, place]) => place), items, gap) : null;
    if (planned === null) return null;
    const next = after(planned, planned.to + planned.from.length);
    const target = targetOf(planned, gallery?.totalItems ?? 0, (place) => shown.at(place)?.id);
    const end = shown.begin(planned);
    setMoved("");
    draw();
    queue.current = queue.current.then(async () => {
      try {
        const asked = target ?? (await targetAt("was" in next ? next.was : 0));
        const done = await moveItems(session, id, known.map(([itemId]) => itemId), asked);
        end(true);
        if (!shown.isWaiting) setMoved(texts.editing.moved(known.length));
        watched.again(done.consistent);
      } catch (error) {
        end(false);
        setMoved(texts.editing.notMoved(wordsOf(error)));
        watched.again();
      }
    });
    return planned.to;
  }

  /** Before the item at a place that is not kept. */
  async function targetAt(place: number): Promise<Target> {
    const [item] = await readItems(session, id, place, 1, "", new AbortController().signal);
    return item ? { before: item.id } : { to: "end" };
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
