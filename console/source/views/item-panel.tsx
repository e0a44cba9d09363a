// Shows below the grid the fields of an item, or the form that changes or creates one.
import type { Item } from "../api.ts";
import type { ShownItems } from "../pure/shown-items.ts";
import { ItemForm } from "./item-form.tsx";
import { ItemDetails } from "./item.tsx";

export type Panel = { kind: "details"; item: Item } | { kind: "edit"; item: Item } | { kind: "create" } | null;

export function ItemPanel({ panel, shown, canWrite, edit, remove, close, form }: {
  panel: Panel;
  shown: ShownItems<Item>;
  canWrite: boolean;
  edit: (item: Item) => void;
  remove: (item: Item) => void;
  close: () => void;
  form: Omit<Parameters<typeof ItemForm>[0], "itemId">;
}) {
  if (panel === null) return null;
  if (panel.kind === "create") return <ItemForm key="create" {...form} />;
  if (panel.kind === "edit") return <ItemForm key={panel.item.id} {...form} itemId={panel.item.id} />;
  // An item that is not kept any more, or was deleted, is shown as it was.
  const place = shown.placesOf(new Set([panel.item.id])).get(panel.item.id);
  const item = (place === undefined ? undefined : shown.at(place)) ?? panel.item;
  return (
    <ItemDetails
      item={item}
      close={close}
      {...(canWrite ? { edit: () => edit(item), remove: () => remove(item) } : {})}
    />
  );
}
