// Reads and writes JSON without changing integers that a number of JavaScript cannot hold.
//
// Free-form objects (`image.exif`, `text.css`) come back as they were sent, with integers of 64 bits. `JSON.rawJSON`
// keeps such an integer as its text. Browsers without it round the integer, as `JSON.parse` does.
interface Exact {
  rawJSON?: (text: string) => unknown;
}

type Reviver = (this: unknown, key: string, value: unknown, context?: { source?: string }) => unknown;

const { rawJSON } = JSON as Exact;

/** The value of a JSON text. Raises SyntaxError. */
export function parseExact(text: string): unknown {
  const revive: Reviver = (_key, value, context) =>
    rawJSON && context?.source && Number.isInteger(value) && !Number.isSafeInteger(value)
      ? rawJSON(context.source) : value;
  return JSON.parse(text, revive as (key: string, value: unknown) => unknown);
}
