// Offers what can be done with the selected items, for those who do not drag.
import { useState } from "preact/hooks";
import { texts } from "../texts.ts";

export function SelectionBar({ count, total, moveBy, moveTo, remove }: {
  count: number;
  total: number;
  /** Move as this key does with Alt. */
  moveBy: (key: string) => void;
  /** Move to this place, from 0 on. */
  moveTo: (place: number) => void;
  remove: () => void;
}) {
  const [place, setPlace] = useState("");
  const { editing } = texts;
  const keys: [string, string][] = [
    ["Home", editing.toStart], ["ArrowLeft", editing.earlier], ["ArrowRight", editing.later], ["End", editing.toEnd],
  ];
  return (
    <div class="bar" role="group" aria-label={editing.selection}>
      <span>{editing.selected(count)}</span>
      {keys.map(([key, label]) => <button key={key} onClick={() => moveBy(key)}>{label}</button>)}
      <form
        class="bar"
        onSubmit={(event) => {
          event.preventDefault();
          moveTo(Number(place) - 1);
        }}
      >
        <label>
          {editing.place}
          <input
            class="short"
            type="number"
            min={1}
            max={total}
            required
            value={place}
            onInput={(event) => setPlace(event.currentTarget.value)}
          />
        </label>
        <button>{editing.toPlace}</button>
      </form>
      <button onClick={remove}>{editing.deleteItems}</button>
    </div>
  );
}
