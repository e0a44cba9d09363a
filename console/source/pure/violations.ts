// Says beside which field of a form each violation of a request stands.
export interface Violation {
  /** The path in the request, such as `item.tags.values[2]`; empty for the whole body. */
  field: string;
  description: string;
}

export interface Placed {
  /** The words for each field of the form that has violations. */
  beside: ReadonlyMap<string, string>;
  /** The words for what belongs to no field. */
  above: readonly string[];
}

export const NONE: Placed = { beside: new Map(), above: [] };

/** The violations by field, with the path of a field or of something in it. `prefix` is that of the request. */
export function placed(violations: readonly Violation[], prefix: string, fields: readonly string[]): Placed {
  const beside = new Map<string, string>();
  const above: string[] = [];
  for (const { field, description } of violations) {
    const path = field.startsWith(`${prefix}.`) ? field.slice(prefix.length + 1) : field;
    const name = fields.filter((one) => isIn(path, one)).sort((a, b) => b.length - a.length)[0];
    if (name === undefined) above.push(`${path === prefix ? "" : path} ${description}`.trim());
    else beside.set(name, [beside.get(name), rest(path, name), description].filter(Boolean).join(" "));
  }
  return { beside, above };
}

function isIn(path: string, field: string): boolean {
  return path === field || path.startsWith(`${field}.`) || path.startsWith(`${field}[`);
}

function rest(path: string, field: string): string {
  return path.slice(field.length).replace(/^\./, "");
}
