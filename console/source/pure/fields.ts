// Names the fields of an item that a form has, with how each is typed in.
export type Medium = "image" | "video" | "text";
export const MEDIA: readonly Medium[] = ["image", "video", "text"];

/** `line` and `lines` are texts, `words` a list of texts (one on each line), `json` any other value. */
export type Kind = "line" | "lines" | "number" | "words" | "json" | "choice";

export interface Field {
  /** The path in the item. */
  path: string;
  kind: Kind;
  /** The values of a choice. */
  choices?: readonly string[];
}

const COMMON: readonly Field[] = [
  { path: "title", kind: "line" },
  { path: "description", kind: "lines" },
  { path: "link.text", kind: "line" },
  { path: "link.url", kind: "line" },
  { path: "tags.values", kind: "words" },
  { path: "sortOrder", kind: "number" },
];

const OF_MEDIUM: Readonly<Record<Medium, readonly Field[]>> = {
  image: [
    { path: "image.imageInfo.url", kind: "line" },
    { path: "image.imageInfo.id", kind: "line" },
    { path: "image.imageInfo.altText", kind: "line" },
    { path: "image.imageInfo.filename", kind: "line" },
    { path: "image.imageInfo.width", kind: "number" },
    { path: "image.imageInfo.height", kind: "number" },
    { path: "image.quality", kind: "number" },
    { path: "image.focalPoint.x", kind: "number" },
    { path: "image.focalPoint.y", kind: "number" },
    { path: "image.unsharpMasking.amount", kind: "number" },
    { path: "image.unsharpMasking.radius", kind: "number" },
    { path: "image.unsharpMasking.threshold", kind: "number" },
    { path: "image.exif", kind: "json" },
  ],
  video: [
    { path: "video.videoInfo.url", kind: "line" },
    { path: "video.videoInfo.id", kind: "line" },
    { path: "video.videoInfo.filename", kind: "line" },
    { path: "video.type", kind: "choice", choices: ["", "WIX_MEDIA", "YOUTUBE", "VIMEO"] },
    { path: "video.durationInMillis", kind: "number" },
    { path: "video.videoInfo.posters", kind: "json" },
    { path: "video.videoInfo.resolutions", kind: "json" },
  ],
  text: [
    { path: "text.html", kind: "lines" },
    { path: "text.css", kind: "json" },
    { path: "text.editorHtml", kind: "lines" },
    { path: "text.editorFontId", kind: "line" },
  ],
};

/** The fields of the form for an item with this medium. */
export function fieldsOf(medium: Medium): readonly Field[] {
  const [title, description, ...others] = COMMON;
  return [title as Field, description as Field, ...OF_MEDIUM[medium], ...others];
}

/** The medium that an item has. */
export function mediumOf(item: object): Medium {
  return MEDIA.find((medium) => (item as Record<string, unknown>)[medium] !== undefined) ?? "text";
}
