// Scrolls through grids that are taller than an element can be in a browser.
//
// Browsers limit the height of an element (Firefox to 17.9 million pixels). A taller grid gets an element of
// `TALLEST` pixels. Near its ends, a pixel of the element is a pixel of the grid. Between them, it is several. Small
// steps, such as those of a wheel, move the grid by as many pixels as the element; large ones, such as those of the
// scroll bar, lead to the part of the grid that has the same share.
export const TALLEST = 8_000_000;
const TRUE_END = 100_000;

/** Where the element is scrolled to, and which pixel of the grid is shown at the top then. */
export interface Place {
  element: number;
  grid: number;
}

/** The height of the element for a grid of this height. */
export function elementHeight(gridHeight: number): number {
  return Math.min(gridHeight, TALLEST);
}

/** The pixel of the grid that has the same share as this pixel of the element. */
export function gridOffset(element: number, gridHeight: number, frameHeight: number): number {
  const { shorter, longer } = ends(gridHeight, frameHeight);
  if (longer === shorter || element <= TRUE_END) return clamp(element, longer);
  if (element >= shorter - TRUE_END) return clamp(longer - (shorter - element), longer);
  return TRUE_END + (element - TRUE_END) * ((longer - 2 * TRUE_END) / (shorter - 2 * TRUE_END));
}

/** The inverse of `gridOffset`, in whole pixels. */
export function elementOffset(grid: number, gridHeight: number, frameHeight: number): number {
  const { shorter, longer } = ends(gridHeight, frameHeight);
  if (longer === shorter || grid <= TRUE_END) return Math.round(clamp(grid, shorter));
  if (grid >= longer - TRUE_END) return Math.round(clamp(shorter - (longer - grid), shorter));
  return Math.round(TRUE_END + (grid - TRUE_END) * ((shorter - 2 * TRUE_END) / (longer - 2 * TRUE_END)));
}

/** The place after the element was scrolled. */
export function scrolledTo(element: number, before: Place, gridHeight: number, frameHeight: number): Place {
  const { shorter, longer } = ends(gridHeight, frameHeight);
  const step = element - before.element;
  const isEnd = element <= 0 || element >= shorter;
  if (longer === shorter || isEnd || Math.abs(step) > 2 * frameHeight) {
    return { element, grid: gridOffset(element, gridHeight, frameHeight) };
  }
  return { element, grid: clamp(before.grid + step, longer) };
}

function ends(gridHeight: number, frameHeight: number): { shorter: number; longer: number } {
  return {
    shorter: Math.max(0, elementHeight(gridHeight) - frameHeight),
    longer: Math.max(0, gridHeight - frameHeight),
  };
}

function clamp(value: number, most: number): number {
  return Math.max(0, Math.min(most, value));
}
