// Writes a time of the API for people, in the time zone of the browser.
const FORM = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** The time in words; the text itself if it is no time. */
export function dateOf(instant: string): string {
  const at = Date.parse(instant);
  return Number.isNaN(at) ? instant : FORM.format(at);
}
