// Draws the items of a gallery as a grid of which only the visible part exists, with keys, clicks and drags.
import type { RefObject } from "preact";
import { useState } from "preact/hooks";
import type { Item } from "../api.ts";
import { gapAt, gapOf } from "../pure/moving.ts";
import { elementHeight } from "../pure/tall.ts";
import { moved } from "../pure/window.ts";
import { texts } from "../texts.ts";
import { titleOf } from "./item.tsx";
import { ROW_HEIGHT, type Framed } from "./use-frame.ts";
import type { Items } from "./use-items.ts";
import type { Selecting } from "./use-selection.ts";

export interface GridProps {
  list: RefObject<HTMLDivElement | null>;
  name: string;
  total: number;
  items: Items;
  framed: Framed;
  selecting: Selecting;
  active: number;
  setActive: (index: number) => void;
  canWrite: boolean;
  leaving: ReadonlySet<string>;
  open: (index: number) => void;
  remove: (ids: ReadonlySet<string>) => void;
  /** Move the selected items to the gap before the item at this place. */
  moveTo: (gap: number) => void;
}

export function ItemsGrid(props: GridProps) {
  const { list, name, total, items, framed, selecting, active, setActive, canWrite, leaving, open } = props;
  const { grid, place } = framed;
  const [gap, setGap] = useState<number | null>(null); // where a drop would put the dragged items
  const shift = place.element - place.grid;
  const tiles = Array.from({ length: grid.end - grid.first }, (_, number) => grid.first + number);

  function pressed(event: KeyboardEvent) {
    if (takes(event)) event.preventDefault();
  }

  function takes(event: KeyboardEvent): boolean {
    const { key } = event;
    const item = items.shown.at(active);
    const isChord = event.ctrlKey || event.metaKey;
    if (key === "Enter") open(active);
    else if (key === " " && canWrite) selecting.toggle(active, item);
    else if (key === " ") open(active);
    else if (key === "Escape") selecting.clear();
    else if (canWrite && isChord && key === "a") selecting.all(total);
    else if (canWrite && key === "Delete" && selecting.ids.size > 0) props.remove(selecting.ids);
    else if (canWrite && event.altKey) {
      const places = [...items.shown.placesOf(selecting.ids).values()];
      const target = places.length > 0 ? gapOf(key, places, total, grid.columns) : null;
      if (target === null) return false;
      props.moveTo(target);
    } else {
      const rowsOfScreen = Math.max(1, Math.floor(framed.height / ROW_HEIGHT));
      const target = moved(key, active, total, grid.columns, rowsOfScreen);
      if (target === null) return false;
      setActive(target);
      if (!isChord || event.shiftKey) selecting.pick(target, items.shown.at(target), { ...NO_KEY, shiftKey: event.shiftKey });
      framed.show(target);
    }
    return true;
  }

  function dragged(event: DragEvent, index: number, item: Item) {
    if (!selecting.ids.has(item.id)) selecting.selectOnly(index, item);
    setActive(index);
    event.dataTransfer?.setData("text/plain", titleOf(item)); // Firefox drags nothing without data
    if (event.dataTransfer) event.dataTransfer.effectAllowed = "move";
    setGap(index);
  }

  function over(event: DragEvent) {
    const element = list.current;
    if (gap === null || element === null) return;
    event.preventDefault();
    const frame = element.getBoundingClientRect();
    const x = event.clientX - frame.left - element.clientLeft;
    const y = event.clientY - frame.top - element.clientTop + place.grid;
    setGap(gapAt(x, y, { columns: grid.columns, width: framed.width, rowHeight: ROW_HEIGHT, total }));
  }

  return (
    <div
      class="items"
      ref={list}
      role="listbox"
      tabIndex={0}
      aria-label={texts.itemsOf(name)}
      aria-multiselectable={canWrite}
      aria-activedescendant={total > 0 ? `item-${active}` : undefined}
      onKeyDown={pressed}
      onDragOver={over}
      onDrop={(event) => {
        event.preventDefault();
        if (gap !== null) props.moveTo(gap);
        setGap(null);
      }}
    >
      <div class="space" role="presentation" style={{ height: `${elementHeight(grid.height)}px` }}>
        <div
          class="tiles"
          role="presentation"
          style={{ top: `${grid.top + shift}px`, gridTemplateColumns: `repeat(${grid.columns}, 1fr)` }}
        >
          {tiles.map((index) => {
            const item = items.shown.at(index);
            const isLeaving = item !== undefined && leaving.has(item.id);
            return (
              <div
                key={index}
                id={`item-${index}`}
                class={tileClass(index === active, isLeaving)}
                role="option"
                aria-selected={item ? selecting.ids.has(item.id) : false}
                aria-posinset={index + 1}
                aria-setsize={total}
                draggable={canWrite && item !== undefined}
                onDragStart={(event) => item && dragged(event, index, item)}
                onDragEnd={() => setGap(null)}
                onClick={(event) => {
                  setActive(index);
                  selecting.pick(index, item, event);
                  if (!event.shiftKey && !event.ctrlKey && !event.metaKey) open(index);
                }}
              >
                {item
                  ? <><b>{titleOf(item)}</b><span>{item.type}{isLeaving && `, ${texts.editing.isLeaving}`}</span></>
                  : <span>{texts.loading}</span>}
              </div>
            );
          })}
        </div>
        {gap !== null && (
          <div
            class="gap"
            role="presentation"
            style={{
              top: `${Math.floor(gap / grid.columns) * ROW_HEIGHT + shift}px`,
              left: `${((gap % grid.columns) / grid.columns) * 100}%`,
            }}
          />
        )}
      </div>
    </div>
  );
}

const NO_KEY = { shiftKey: false, ctrlKey: false, metaKey: false };

function tileClass(isActive: boolean, isLeaving: boolean): string {
  return ["tile", isActive && "active", isLeaving && "leaving"].filter(Boolean).join(" ");
}
