// Shows both versions of each field that two people have changed, and lets one choose.
import type { Conflict } from "../pure/merging.ts";
import { texts } from "../texts.ts";
import { Notice } from "./notice.tsx";

export function Conflicts({ conflicts, chosen }: {
  conflicts: readonly Conflict[];
  chosen: (field: string, value: string) => void;
}) {
  const { editing } = texts;
  return (
    <div class="conflicts">
      <Notice text={editing.conflict} />
      {conflicts.map(({ field, mine, theirs }) => (
        <fieldset key={field}>
          <legend>{editing.labels[field] ?? field}</legend>
          {[[editing.mine, mine] as const, [editing.theirs, theirs] as const].map(([label, value]) => (
            <label key={label}>
              <input type="radio" name={`conflict-${field}`} required onChange={() => chosen(field, value)} />
              {label}: <span class="version">{value || editing.empty}</span>
            </label>
          ))}
        </fieldset>
      ))}
    </div>
  );
}
