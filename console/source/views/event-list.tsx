// Lists events; each leads to its change.
import { dateOf } from "../pure/dates.ts";
import type { Entry } from "../pure/event-log.ts";
import { texts } from "../texts.ts";

export function EventList({ label, entries }: { label: string; entries: readonly Entry[] }) {
  const { happened } = texts;
  if (entries.length === 0) return null;
  return (
    <ul class="lines" aria-label={label}>
      {entries.map((entry) => (
        <li key={`${entry.galleryId}/${entry.sequence}`}>
          <a href={`#/happened/${entry.galleryId}/${entry.sequence}/${entry.place}`}>
            {happened.types[entry.type] ?? entry.type}
          </a>
          <span>{happened.sequence(entry.sequence)}</span>
          <code>{entry.galleryId}</code>
          <time class="last" dateTime={entry.time}>{dateOf(entry.time)}</time>
        </li>
      ))}
    </ul>
  );
}
