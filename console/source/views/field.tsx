// Draws a field of a form, with what is wrong with it beside it.
import { texts } from "../texts.ts";
import type { Field as FieldOfItem } from "../pure/fields.ts";

interface Shown {
  label: string;
  name: string;
  value: string;
  help?: string | undefined;
  problem?: string | undefined;
  changed: (value: string) => void;
}

/** A text of one line, or of several. */
export function TextField(
  { label, name, value, help, problem, changed, lines = 1, choices, mode }:
    Shown & { lines?: number; choices?: readonly string[] | undefined; mode?: "decimal" | undefined },
) {
  const described = [help && `${name}-help`, problem && `${name}-problem`].filter(Boolean).join(" ");
  const shared = {
    id: name,
    name,
    value,
    "aria-invalid": problem !== undefined,
    ...(described ? { "aria-describedby": described } : {}),
    onInput: (event: { currentTarget: { value: string } }) => changed(event.currentTarget.value),
  };
  return (
    <div class="field">
      <label for={name}>{label}</label>
      {choices ? (
        <select {...shared}>
          {choices.map((choice) => <option key={choice} value={choice}>{choice}</option>)}
        </select>
      ) : lines > 1
        ? <textarea {...shared} rows={lines} spellcheck={false} />
        : <input {...shared} autocomplete="off" {...(mode ? { inputMode: mode } : {})} />}
      {help && <p id={`${name}-help`} class="help">{help}</p>}
      {problem && <p id={`${name}-problem`} class="problem">{problem}</p>}
    </div>
  );
}

const LINES = { line: 1, number: 1, choice: 1, words: 3, lines: 4, json: 4 } as const;

/** A field of an item. */
export function ItemField({ field, ...shown }: Omit<Shown, "label" | "name" | "help"> & { field: FieldOfItem }) {
  const { labels, help } = texts.editing;
  return (
    <TextField
      {...shown}
      label={labels[field.path] ?? field.path}
      name={field.path}
      help={help[field.path]}
      lines={LINES[field.kind]}
      choices={field.choices}
      mode={field.kind === "number" ? "decimal" : undefined}
    />
  );
}
