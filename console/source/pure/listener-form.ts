// Makes the request that creates or changes a listener from the fields of the form.
export interface Fields {
  url: string;
  description: string;
  eventTypes: readonly string[];
  /** Ids, separated by white space or commas; empty for all galleries. */
  galleries: string;
  timeout: string;
  rateLimit: string;
  format: string;
  isOrdered: boolean;
}

export interface Known {
  url: string;
  description: string;
  eventTypes: readonly string[];
  galleryIds: readonly string[] | null;
  timeoutSeconds: number;
  rateLimit: number | null;
}

/** The listener to create. Fields that are empty are left to the gateway. */
export function toCreate(fields: Fields): Record<string, unknown> {
  const { galleryIds, rateLimit, timeoutSeconds } = optional(fields);
  return {
    url: fields.url.trim(),
    eventTypes: fields.eventTypes,
    format: fields.format,
    ordered: fields.isOrdered,
    description: fields.description.trim(),
    ...(galleryIds === null ? {} : { galleryIds }),
    ...(rateLimit === null ? {} : { rateLimit }),
    ...(timeoutSeconds === null ? {} : { timeoutSeconds }),
  };
}

/** The fields that differ from what is known: nothing else is changed, so two people may change different fields. */
export function toChange(fields: Fields, known: Known): Record<string, unknown> {
  const { galleryIds, rateLimit, timeoutSeconds } = optional(fields);
  const wanted: Record<string, unknown> = {
    url: fields.url.trim(),
    eventTypes: [...fields.eventTypes].sort(),
    description: fields.description.trim(),
    galleryIds,
    rateLimit,
    timeoutSeconds: timeoutSeconds ?? known.timeoutSeconds,
  };
  const before: Record<string, unknown> = { ...known, eventTypes: [...known.eventTypes].sort() };
  return Object.fromEntries(
    Object.entries(wanted).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name])),
  );
}

function optional(fields: Fields) {
  const ids = fields.galleries.split(/[\s,]+/).filter(Boolean).sort();
  return {
    galleryIds: ids.length === 0 ? null : ids,
    rateLimit: numberOf(fields.rateLimit),
    timeoutSeconds: numberOf(fields.timeout),
  };
}

/** The number, or the text itself if it is none: then the gateway says what is wrong with it. */
function numberOf(text: string): number | string | null {
  const trimmed = text.trim();
  if (trimmed === "") return null;
  return Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
}
