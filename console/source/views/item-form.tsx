// Creates an item, or changes one: every field, with what is wrong beside it, and what somebody else changed meanwhile.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Item } from "../api.ts";
import { fieldsOf, MEDIA, mediumOf, type Medium } from "../pure/fields.ts";
import { formOf, isChanged, newItemOf, patchOf } from "../pure/item-form.ts";
import { merged, type Conflict, type Form } from "../pure/merging.ts";
import type { Violation } from "../pure/violations.ts";
import type { Session } from "../session.ts";
import { texts } from "../texts.ts";
import { changedMeanwhile, createItem, readItemToEdit, updateItem, type Tagged } from "../writes.ts";
import { useAction } from "./action.tsx";
import { Conflicts } from "./conflicts.tsx";
import { ItemField } from "./field.tsx";

const TRIES = 5;

interface Base {
  tagged: Tagged<Item>;
  form: Form;
}

export function ItemForm({ session, galleryId, itemId, signOut, written, close, touched }: {
  session: Session;
  galleryId: string;
  /** Absent for a new item. */
  itemId?: string;
  signOut: (why: string) => void;
  /** The item was saved; readers see it at these positions. */
  written: (consistent: string) => void;
  close: () => void;
  /** Whether there is something to lose. */
  touched: (isTouched: boolean) => void;
}) {
  const [medium, setMedium] = useState<Medium>("image");
  const [base, setBase] = useState<Base | null>(null);
  const [form, setForm] = useState<Form>({});
  const [conflicts, setConflicts] = useState<readonly Conflict[]>([]);
  const action = useAction(signOut);
  const first = useRef<HTMLFormElement>(null);
  const fields = fieldsOf(medium);
  const paths = fields.map(({ path }) => path);
  const isReady = itemId === undefined || base !== null;
  const { editing } = texts;

  useEffect(() => {
    if (itemId === undefined) return;
    void action.run(async () => {
      const tagged = await readItemToEdit(session, galleryId, itemId);
      const found = mediumOf(tagged.body);
      const read = formOf(tagged.body, found);
      setMedium(found);
      setBase({ tagged, form: read });
      setForm(read);
    });
  }, []);

  const hasChanges = isChanged(base?.form ?? {}, form);
  useEffect(() => {
    touched(hasChanges);
    if (!hasChanges) return undefined;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => {
      touched(false);
      removeEventListener("beforeunload", ask);
    };
  }, [hasChanges]);

  useEffect(() => {
    if (isReady) first.current?.querySelector<HTMLElement>("input, textarea")?.focus();
  }, [isReady]);

  /** The object to send, or null if the form says what is wrong with it. */
  function checked({ item, violations }: { item: object; violations: readonly Violation[] }): object | null {
    if (violations.length > 0) action.say(violations, "item", paths);
    return violations.length > 0 ? null : item;
  }

  async function create() {
    const item = checked(newItemOf(form, medium));
    if (item === null) return;
    await action.run(async () => {
      written((await createItem(session, galleryId, item)).consistent);
      close();
    }, "item", paths);
  }

  async function change(id: string, known: Base) {
    await action.run(async () => {
      let [now, mine] = [known, form];
      for (let tries = 0; tries < TRIES; tries += 1) {
        const item = checked(patchOf(now.tagged.body, now.form, mine, medium));
        if (item === null) return;
        if (Object.keys(item).length === 0) return close();
        let position: string;
        try {
          written((await updateItem(session, galleryId, id, item, now.tagged.tag)).consistent);
          return close();
        } catch (error) {
          position = changedMeanwhile(error, galleryId);
        }
        // The gallery has changed, maybe in another place. Only what both have changed is a question for people.
        const tagged = await readItemToEdit(session, galleryId, id, position);
        const theirs = { tagged, form: formOf(tagged.body, medium) };
        const both = merged(now.form, mine, theirs.form);
        [now, mine] = [theirs, both.form];
        setBase(theirs);
        setForm(mine);
        if (both.conflicts.length > 0) return setConflicts(both.conflicts);
      }
      throw new Error(editing.busy);
    }, "item", paths);
  }

  function submit(event: SubmitEvent) {
    event.preventDefault();
    setConflicts([]);
    if (itemId === undefined) void create();
    else if (base) void change(itemId, base);
  }

  const heading = itemId === undefined ? editing.newItem : editing.editItem;
  return (
    <section class="details" aria-label={heading}>
      <h2>{heading}</h2>
      <form
        ref={first}
        onSubmit={submit}
        onKeyDown={(event) => { if (event.key === "Escape" && !hasChanges) close(); }}
      >
        {action.above}
        {conflicts.length > 0 && (
          <Conflicts
            conflicts={conflicts}
            chosen={(field, value) => setForm((shown) => ({ ...shown, [field]: value }))}
          />
        )}
        {itemId === undefined && (
          <fieldset class="bar">
            <legend>{editing.medium}</legend>
            {MEDIA.map((one) => (
              <label key={one}>
                <input type="radio" name="medium" checked={one === medium} onChange={() => setMedium(one)} />
                {editing.media[one]}
              </label>
            ))}
          </fieldset>
        )}
        {isReady ? (
          <div class="fields">
            {fields.map((field) => (
              <ItemField
                key={field.path}
                field={field}
                value={form[field.path] ?? ""}
                problem={action.placed.beside.get(field.path)}
                changed={(value) => setForm((shown) => ({ ...shown, [field.path]: value }))}
              />
            ))}
          </div>
        ) : action.isBusy && <p role="status">{texts.loading}</p>}
        <button disabled={action.isBusy || !isReady}>
          {itemId === undefined ? editing.createItem : editing.save}
        </button>{" "}
        <button type="button" onClick={close}>{editing.cancel}</button>
      </form>
    </section>
  );
}
