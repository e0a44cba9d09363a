// Compares a form with what somebody else has changed meanwhile.

/** The texts of a form, by field. */
export type Form = Readonly<Record<string, string>>;

/** A field that both have changed. */
export interface Conflict {
  field: string;
  mine: string;
  theirs: string;
}

export interface Merged {
  /** What both have changed, differently. */
  conflicts: readonly Conflict[];
  /** What the form shows next: my changes, and everything else as it is now. */
  form: Form;
}

/** My changes of `base`, and theirs. */
export function merged(base: Form, mine: Form, theirs: Form): Merged {
  const form: Record<string, string> = {};
  const conflicts: Conflict[] = [];
  for (const field of new Set([...Object.keys(base), ...Object.keys(mine), ...Object.keys(theirs)])) {
    const [was, own, other] = [base[field] ?? "", mine[field] ?? "", theirs[field] ?? ""];
    form[field] = own === was ? other : own;
    if (own !== was && other !== was && own !== other) conflicts.push({ field, mine: own, theirs: other });
  }
  return { conflicts, form };
}
