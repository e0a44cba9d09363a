// Decides which items of a long grid are shown, so that the page holds a screen of them and not all.
export interface Grid {
  columns: number;
  rows: number;
  /** The first shown item, and the one after the last. */
  first: number;
  end: number;
  /** Pixels from the top of the grid to the first shown row. */
  top: number;
  /** The height of the whole grid in pixels. */
  height: number;
}

export interface Frame {
  width: number;
  height: number;
  scrolled: number;
}

const SPARE_ROWS = 2; // above and below, so that a slow scroll shows no gaps

/** The grid of `total` items in a frame, with tiles of at least `tileWidth` and exactly `rowHeight` pixels. */
export function gridOf(total: number, frame: Frame, tileWidth: number, rowHeight: number): Grid {
  const columns = Math.max(1, Math.floor(frame.width / tileWidth));
  const rows = Math.ceil(total / columns);
  const firstRow = Math.max(0, Math.min(rows, Math.floor(frame.scrolled / rowHeight)) - SPARE_ROWS);
  const endRow = Math.min(rows, Math.ceil((frame.scrolled + frame.height) / rowHeight) + SPARE_ROWS);
  return {
    columns,
    rows,
    first: firstRow * columns,
    end: Math.min(total, endRow * columns),
    top: firstRow * rowHeight,
    height: rows * rowHeight,
  };
}

/** The item that a key leads to from `current`; null if the key does not move. */
export function moved(key: string, current: number, total: number, columns: number, rowsOfScreen: number): number | null {
  const steps: Record<string, number> = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -columns,
    ArrowDown: columns,
    PageUp: -columns * rowsOfScreen,
    PageDown: columns * rowsOfScreen,
    Home: -total,
    End: total,
  };
  const step = steps[key];
  if (step === undefined || total === 0) return null;
  const target = current + step;
  const isRowStep = Math.abs(step) === columns && columns > 1;
  if (isRowStep && (target < 0 || target >= total)) return current;
  return Math.max(0, Math.min(total - 1, target));
}
