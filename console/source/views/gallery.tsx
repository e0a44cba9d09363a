// Shows a gallery: its name, what can be done with it, its items, and the fields of one of them.
import { useEffect, useRef, useState } from "preact/hooks";
import { gapFor, gapOf } from "../pure/moving.ts";
import { reasonOf } from "../servers.ts";
import { mayWrite, type Session } from "../session.ts";
import { texts } from "../texts.ts";
import { deleteItems } from "../writes.ts";
import { GalleryHead } from "./gallery-head.tsx";
import { ItemPanel, type Panel } from "./item-panel.tsx";
import { ItemsGrid } from "./items-grid.tsx";
import { UndoBar, useLater } from "./later.tsx";
import { Notice } from "./notice.tsx";
import { SelectionBar } from "./selection-bar.tsx";
import { useFrame } from "./use-frame.ts";
import { useItems, type Part } from "./use-items.ts";
import { useSelection } from "./use-selection.ts";

export function Gallery({ session, id, signOut }: { session: Session; id: string; signOut: (why: string) => void }) {
  const canWrite = mayWrite(session);
  const list = useRef<HTMLDivElement>(null);
  const [active, setActive] = useState(0);
  const [panel, setPanel] = useState<Panel>(null);
  const [failed, setFailed] = useState("");
  const [told, setTold] = useState(""); // what the last form has done
  const isTouched = useRef(false); // a form has changes that are not saved
  const visible = useRef<Part>({ first: 0, end: 0 });
  const later = useLater();

  const items = useItems(session, id, visible.current, (itemId) => selecting.forget(itemId), signOut);
  const { gallery, isDeleted, shown, watched } = items;
  const total = gallery?.totalItems ?? 0;
  const framed = useFrame(list, total, `${gallery === null} ${isDeleted}`);
  Object.assign(visible.current, { first: framed.grid.first, end: framed.grid.end });
  useEffect(() => {
    if (framed.settled > 0) watched.again();
  }, [framed.settled]);
  const selecting = useSelection(canWrite, items.idsOf);
  const current = Math.min(active, Math.max(0, total - 1));
  const name = gallery?.name || texts.unnamed;

  useEffect(() => selecting.arrived(current, shown.at(current)));

  function open(index: number) {
    const item = shown.at(index);
    setTold("");
    if (item && !isTouched.current) setPanel({ kind: "details", item });
  }

  function close() {
    setPanel(null);
    list.current?.focus();
  }

  function written(consistent: string) {
    shown.pages.changed();
    watched.again(consistent);
  }

  function saved(consistent: string) {
    setTold(panel?.kind === "create" ? texts.editing.created : texts.editing.saved);
    written(consistent);
  }

  function moveTo(gap: number) {
    setTold("");
    const item = shown.at(current);
    const first = items.move(selecting.ids, gap);
    if (first === null) return;
    const place = item === undefined ? undefined : shown.placesOf(new Set([item.id])).get(item.id);
    setActive(place ?? first);
    framed.show(place ?? first);
  }

  async function notDeleted(error: unknown) {
    setFailed(texts.editing.notDeleted(await reasonOf(error)));
  }

  function remove(ids: ReadonlySet<string>) {
    setFailed("");
    selecting.clear();
    setPanel(null);
    later.begin({
      text: texts.editing.willDelete(ids.size),
      ids,
      send: (isLeaving) => deleteItems(session, id, [...ids], isLeaving).then(
        ({ consistent }) => written(consistent), notDeleted),
    });
    list.current?.focus();
  }

  const links = (
    <p class="row">
      <a href="#/">{texts.back}</a>
      <a href={`#/happened/${id}`}>{texts.happened.toGallery}</a>
    </p>
  );
  if (isDeleted) {
    return <main class="gallery">{links}<Notice text={texts.galleryDeleted} /></main>;
  }
  return (
    <main class="gallery">
      {links}
      {gallery && <h1>{name}</h1>}
      {watched.problem && <Notice text={watched.problem} retry={() => watched.again()} />}
      {failed && <Notice text={failed} />}
      {gallery === null ? !watched.problem && <p role="status">{texts.loading}</p> : (
        <>
          {canWrite && (
            <GalleryHead
              session={session}
              gallery={gallery}
              signOut={signOut}
              written={written}
              later={later}
              failed={(error) => void notDeleted(error)}
            />
          )}
          <p role="status">{texts.items(total)}. {watched.isLive && texts.live}</p>
          {canWrite && (
            <p class="bar"><button onClick={() => setPanel({ kind: "create" })}>{texts.editing.createItem}</button></p>
          )}
          {total === 0 && <p>{texts.noItems}</p>}
          {canWrite && total > 0 && <p class="help">{texts.editing.keys}</p>}
          <ItemsGrid
            list={list}
            name={name}
            total={total}
            items={items}
            framed={framed}
            selecting={selecting}
            active={current}
            setActive={setActive}
            canWrite={canWrite}
            leaving={later.pending?.ids ?? NONE}
            open={open}
            remove={remove}
            moveTo={moveTo}
          />
          <UndoBar later={later} done={() => list.current?.focus()} />
          <p role="status" class="told">{selecting.problem || told || items.moved}</p>
          {canWrite && selecting.ids.size > 0 && (
            <SelectionBar
              count={selecting.ids.size}
              total={total}
              moveBy={(key) => {
                const places = [...shown.placesOf(selecting.ids).values()];
                const gap = places.length > 0 ? gapOf(key, places, total, framed.grid.columns) : null;
                if (gap !== null) moveTo(gap);
              }}
              moveTo={(place) => moveTo(gapFor(place, [...shown.placesOf(selecting.ids).values()]))}
              remove={() => remove(selecting.ids)}
            />
          )}
          <ItemPanel
            panel={panel}
            shown={shown}
            canWrite={canWrite}
            edit={(item) => setPanel({ kind: "edit", item })}
            remove={(item) => remove(new Set([item.id]))}
            close={close}
            form={{ session, galleryId: id, signOut, written: saved, close, touched: (is) => { isTouched.current = is; } }}
          />
        </>
      )}
    </main>
  );
}

const NONE: ReadonlySet<string> = new Set();
