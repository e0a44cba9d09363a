// Creates a gallery, and shows it.
import { useState } from "preact/hooks";
import type { Session } from "../session.ts";
import { texts } from "../texts.ts";
import { createGallery } from "../writes.ts";
import { useAction } from "./action.tsx";
import { TextField } from "./field.tsx";

export function CreateGallery({ session, signOut }: { session: Session; signOut: (why: string) => void }) {
  const [name, setName] = useState("");
  const action = useAction(signOut);

  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void action.run(async () => {
          const { body } = await createGallery(session, name);
          location.hash = `#/galleries/${body.gallery.id}`;
        }, "gallery", ["name"]);
      }}
    >
      <TextField
        label={texts.editing.newGalleryName}
        name="new-gallery"
        value={name}
        problem={action.placed.beside.get("name")}
        changed={setName}
      />
      {action.above}
      <button disabled={action.isBusy}>{texts.editing.createGallery}</button>
    </form>
  );
}
