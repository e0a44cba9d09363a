// Measures the visible part of a long grid, and scrolls it.
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { elementOffset, scrolledTo, type Place } from "../pure/tall.ts";
import { gridOf, type Grid } from "../pure/window.ts";

export const TILE_WIDTH = 150;
export const ROW_HEIGHT = 112;
const SETTLED_MS = 120; // pages that are only scrolled past are not read

export interface Framed {
  grid: Grid;
  width: number;
  height: number;
  place: Place;
  /** Grows when the visible part has stayed the same for a moment. */
  settled: number;
  /** Scroll until this item is visible. */
  show: (index: number) => void;
}

/** The frame of the element in `list`, which is measured anew when `key` changes. */
export function useFrame(list: RefObject<HTMLElement | null>, total: number, key: unknown): Framed {
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [place, setPlace] = useState<Place>({ element: 0, grid: 0 });
  const [settled, setSettled] = useState(0);
  const grid = gridOf(total, { ...size, scrolled: place.grid }, TILE_WIDTH, ROW_HEIGHT);
  const now = useRef({ place, grid, size });
  now.current = { place, grid, size };

  function put(next: Place) {
    now.current.place = next;
    setPlace(next);
  }

  /** Scroll to this pixel of the grid. The event of the element then finds that it is there already. */
  function scrollTo(pixel: number) {
    const element = elementOffset(pixel, grid.height, size.height);
    put({ element, grid: pixel });
    if (list.current) list.current.scrollTop = element;
  }

  useEffect(() => {
    const timer = setTimeout(() => {
      setSettled((count) => count + 1);
      const { place: here, grid: whole, size: frame } = now.current;
      if (elementOffset(here.grid, whole.height, frame.height) !== Math.round(here.element)) scrollTo(here.grid);
    }, SETTLED_MS);
    return () => clearTimeout(timer);
  }, [grid.first, grid.end, size.width > 0]);

  useLayoutEffect(() => {
    const element = list.current;
    if (element === null) return undefined;
    const measure = () => setSize({ width: element.clientWidth, height: element.clientHeight });
    const scrolled = () => {
      const { place: here, grid: whole } = now.current;
      if (Math.abs(element.scrollTop - here.element) < 1) return;
      put(scrolledTo(element.scrollTop, here, whole.height, element.clientHeight));
    };
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener("scroll", scrolled, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", scrolled);
    };
  }, [key]);

  function show(index: number) {
    const top = Math.floor(index / grid.columns) * ROW_HEIGHT;
    const { place: here } = now.current;
    if (top < here.grid) scrollTo(top);
    else if (top + ROW_HEIGHT > here.grid + size.height) scrollTo(top + ROW_HEIGHT - size.height);
  }

  return { grid, ...size, place, settled, show };
}
