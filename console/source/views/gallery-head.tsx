// Shows a gallery's name, and offers what can be done with the whole gallery.
import { useRef, useState } from "preact/hooks";
import type { Gallery } from "../api.ts";
import type { Session } from "../session.ts";
import { texts } from "../texts.ts";
import {
  changedMeanwhile, clearGallery, cloneGallery, deleteGallery, readGalleryToEdit, rebalanceGallery, renameGallery,
  type Tagged,
} from "../writes.ts";
import { useAction } from "./action.tsx";
import { TextField } from "./field.tsx";
import type { Later } from "./later.tsx";
import { Notice } from "./notice.tsx";

interface Shared {
  session: Session;
  gallery: Gallery;
  signOut: (why: string) => void;
  /** A write has happened; readers see it at these positions. */
  written: (consistent: string) => void;
}

export function GalleryHead({ later, failed, ...shared }: Shared & { later: Later; failed: (why: unknown) => void }) {
  const { session, gallery, signOut, written } = shared;
  const [isRenaming, setRenaming] = useState(false);
  const [told, setTold] = useState("");
  const action = useAction(signOut);
  const { editing } = texts;

  function afterPause(text: string, remove: typeof clearGallery) {
    later.begin({
      text,
      ids: new Set(),
      send: (isLeaving) =>
        remove(session, gallery.id, isLeaving).then(({ consistent }) => written(consistent)).catch(failed),
    });
  }

  const choices: [string, () => void][] = [
    [editing.rename, () => setRenaming(true)],
    [editing.clone, () => void action.run(async () => {
      const { body } = await cloneGallery(session, gallery.id, gallery.name ? editing.copyOf(gallery.name) : "");
      location.hash = `#/galleries/${body.gallery.id}`;
    })],
    [editing.rebalance, () => void action.run(async () => {
      written((await rebalanceGallery(session, gallery.id)).consistent);
      setTold(editing.rebalanced);
    })],
    [editing.clear, () => afterPause(editing.willClear, clearGallery)],
    [editing.deleteGallery, () => afterPause(editing.willDeleteGallery, deleteGallery)],
  ];
  if (isRenaming) return <Rename {...shared} close={() => setRenaming(false)} />;
  return (
    <div class="bar" role="group" aria-label={editing.gallery}>
      {choices.map(([label, choose]) => (
        <button key={label} disabled={action.isBusy} onClick={() => { setTold(""); choose(); }}>{label}</button>
      ))}
      <span role="status">{action.isBusy ? editing.working : told}</span>
      {action.above}
    </div>
  );
}

function Rename({ session, gallery, signOut, written, close }: Shared & { close: () => void }) {
  const [base, setBase] = useState<Tagged<Gallery> | null>(null);
  const opened = useRef(gallery.name ?? "").current; // the name that the user has seen; `gallery` follows changes
  const [name, setName] = useState(opened);
  const [theirs, setTheirs] = useState<string | null>(null);
  const action = useAction(signOut);
  const { editing } = texts;

  const save = (event: SubmitEvent) => {
    event.preventDefault();
    void action.run(async () => {
      let known = base ? (base.body.name ?? "") : opened;
      let tagged = base ?? (await readGalleryToEdit(session, gallery.id));
      for (let tries = 0; tries < 5; tries += 1) {
        if ((tagged.body.name ?? "") !== known) {
          setBase(tagged);
          setTheirs(tagged.body.name ?? "");
          return;
        }
        try {
          written((await renameGallery(session, gallery.id, name, tagged.tag)).consistent);
          close();
          return;
        } catch (error) {
          const position = changedMeanwhile(error, gallery.id);
          known = tagged.body.name ?? "";
          tagged = await readGalleryToEdit(session, gallery.id, position);
        }
      }
      throw new Error(editing.busy);
    }, "gallery", ["name"]);
  };

  return (
    <form onSubmit={save}>
      {action.above}
      <TextField
        label={editing.name}
        name="gallery-name"
        value={name}
        problem={action.placed.beside.get("name")}
        changed={setName}
      />
      {theirs !== null && (
        <>
          <Notice text={editing.renamed} />
          <dl class="versions">
            <div><dt>{editing.mine}</dt><dd>{name || editing.empty}</dd></div>
            <div><dt>{editing.theirs}</dt><dd>{theirs || editing.empty}</dd></div>
          </dl>
          <button type="button" onClick={close}>{editing.theirs}</button>{" "}
        </>
      )}
      <button disabled={action.isBusy}>{theirs === null ? editing.save : editing.mine}</button>{" "}
      {theirs === null && <button type="button" onClick={close}>{editing.cancel}</button>}
    </form>
  );
}
