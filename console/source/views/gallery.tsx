// Shows a gallery: its items in display order, as a grid of which only the visible part exists and is read.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { GALLERIES, readGallery, readItems, type Gallery as GalleryData, type Item } from "../api.ts";
import { ItemPages, PAGE_ITEMS } from "../pure/item-pages.ts";
import { gridOf, moved, type Frame } from "../pure/window.ts";
import type { Session } from "../session.ts";
import { texts } from "../texts.ts";
import { ItemDetails, titleOf } from "./item.tsx";
import { Notice } from "./notice.tsx";
import { useWatched } from "./watching.ts";

const TILE_WIDTH = 150;
const ROW_HEIGHT = 112;
const SETTLED_MS = 120; // pages that are only scrolled past are not read

export function Gallery({ session, id, signOut }: { session: Session; id: string; signOut: (why: string) => void }) {
  const [gallery, setGallery] = useState<GalleryData | null>(null);
  const [isDeleted, setDeleted] = useState(false);
  const [frame, setFrame] = useState<Frame>({ width: 0, height: 0, scrolled: 0 });
  const [active, setActive] = useState(0);
  const [opened, setOpened] = useState<{ index: number; item: Item } | null>(null);
  const [settled, setSettled] = useState(0);
  const [, setRead] = useState(0);
  const pages = useRef(new ItemPages<Item>()).current;
  const headRead = useRef(-1); // the generation of pages at which name and number of items were read
  const list = useRef<HTMLDivElement>(null);

  const total = gallery?.totalItems ?? 0;
  const grid = gridOf(total, frame, TILE_WIDTH, ROW_HEIGHT);
  const current = Math.min(active, Math.max(0, total - 1));

  const watched = useWatched(
    session,
    `${GALLERIES}/${encodeURIComponent(id)}/events`,
    [id, settled, frame.width > 0],
    async (consistent, signal) => {
      if (isDeleted) return;
      const generation = pages.generation;
      if (headRead.current !== generation) {
        setGallery(await readGallery(session, id, consistent, signal));
        headRead.current = generation;
      }
      for (const page of pages.needed(grid.first, Math.max(grid.end, 1))) {
        const items = await readItems(session, id, page * PAGE_ITEMS, PAGE_ITEMS, consistent, signal);
        pages.store(page, items, generation);
        setRead((count) => count + 1);
      }
    },
    (event) => {
      pages.changed();
      if (event?.event === "deleted") setDeleted(true);
    },
    signOut,
  );

  // The grid's place is known after it was drawn: then its items are read.
  useEffect(() => {
    const timer = setTimeout(() => setSettled((count) => count + 1), SETTLED_MS);
    return () => clearTimeout(timer);
  }, [grid.first, grid.end]);

  useLayoutEffect(() => {
    const element = list.current;
    if (element === null) return undefined;
    const measure = () =>
      setFrame({ width: element.clientWidth, height: element.clientHeight, scrolled: element.scrollTop });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener("scroll", measure, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", measure);
    };
  }, [gallery === null, isDeleted]);

  function open(index: number) {
    const item = pages.at(index);
    if (item) setOpened({ index, item });
  }

  function pressed(event: KeyboardEvent) {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      open(current);
      return;
    }
    const rowsOfScreen = Math.max(1, Math.floor(frame.height / ROW_HEIGHT));
    const target = moved(event.key, current, total, grid.columns, rowsOfScreen);
    if (target === null) return;
    event.preventDefault();
    setActive(target);
    const top = Math.floor(target / grid.columns) * ROW_HEIGHT;
    const element = list.current;
    if (element === null) return;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW_HEIGHT > element.scrollTop + frame.height) element.scrollTop = top + ROW_HEIGHT - frame.height;
  }

  const name = gallery?.name || texts.unnamed;
  const tiles = Array.from({ length: grid.end - grid.first }, (_, place) => grid.first + place);
  const present = opened === null ? undefined : pages.at(opened.index);
  // Another item may have come to its place; then the item is shown as it was.
  const details = present?.id === opened?.item.id ? present : opened?.item;
  return (
    <main class="gallery">
      <p><a href="#/">{texts.back}</a></p>
      {isDeleted ? <Notice text={texts.galleryDeleted} /> : (
        <>
          {gallery && <h1>{name}</h1>}
          {watched.problem && <Notice text={watched.problem} retry={watched.again} />}
          {gallery === null ? !watched.problem && <p role="status">{texts.loading}</p> : (
            <>
              <p role="status">{texts.items(total)} {watched.isLive && texts.live}</p>
              {total === 0 && <p>{texts.noItems}</p>}
              <div
                class="items"
                ref={list}
                role="listbox"
                tabIndex={0}
                aria-label={texts.itemsOf(name)}
                aria-activedescendant={total > 0 ? `item-${current}` : undefined}
                onKeyDown={pressed}
              >
                <div class="space" role="presentation" style={{ height: `${grid.height}px` }}>
                  <div
                    class="tiles"
                    role="presentation"
                    style={{ top: `${grid.top}px`, gridTemplateColumns: `repeat(${grid.columns}, 1fr)` }}
                  >
                    {tiles.map((index) => {
                      const item = pages.at(index);
                      return (
                        <div
                          key={index}
                          id={`item-${index}`}
                          class="tile"
                          role="option"
                          aria-selected={index === current}
                          aria-posinset={index + 1}
                          aria-setsize={total}
                          onClick={() => {
                            setActive(index);
                            open(index);
                          }}
                        >
                          {item ? <><b>{titleOf(item)}</b><span>{item.type}</span></> : <span>{texts.loading}</span>}
                        </div>
                      );
                    })}
                  </div>
                </div>
              </div>
              {details && <ItemDetails item={details} close={() => { setOpened(null); list.current?.focus(); }} />}
            </>
          )}
        </>
      )}
    </main>
  );
}
