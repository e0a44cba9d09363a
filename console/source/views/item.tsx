// Shows one item: as a tile of the grid, and with its fields.
import type { Item } from "../api.ts";
import { dateOf } from "../pure/dates.ts";
import { texts } from "../texts.ts";
import { Facts } from "./facts.tsx";
import { TextPreview } from "./text-preview.tsx";

/** The title of an item, or what else tells it from others. */
export function titleOf(item: Item): string {
  return item.title || item.text?.html?.replace(/<[^>]*>/g, " ").trim() || texts.untitled;
}

function fieldsOf(item: Item): [string, string][] {
  const { fields } = texts;
  const all: [string, string | number | undefined][] = [
    [fields.type, item.type],
    [fields.title, item.title],
    [fields.description, item.description],
    [fields.address, item.image?.imageInfo?.url ?? item.video?.videoInfo?.url],
    [fields.text, item.text?.html],
    [fields.link, item.link?.url],
    [fields.tags, item.tags?.values?.join(", ")],
    [fields.sortOrder, item.sortOrder],
    [fields.createdDate, item.createdDate && dateOf(item.createdDate)],
    [fields.updatedDate, item.updatedDate && dateOf(item.updatedDate)],
    [fields.id, item.id],
  ];
  return all.map(([name, value]) => [name, String(value ?? "")]);
}

export function ItemDetails({ item, close, edit, remove }: {
  item: Item;
  close: () => void;
  /** Absent for a key that may not change items. */
  edit?: () => void;
  remove?: () => void;
}) {
  return (
    <section class="details" aria-label={texts.itemDetails}>
      <h2>{titleOf(item)}</h2>
      <Facts of={fieldsOf(item)} />
      {item.text?.html && <TextPreview html={item.text.html} />}
      <div class="bar">
        {edit && <button onClick={edit}>{texts.editing.edit}</button>}
        {remove && <button onClick={remove}>{texts.editing.deleteItems}</button>}
        <button onClick={close}>{texts.close}</button>
      </div>
    </section>
  );
}
