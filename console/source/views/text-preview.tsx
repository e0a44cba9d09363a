// Shows the HTML of a text item in a frame that runs no script, has no origin, and loads nothing.
import { texts } from "../texts.ts";

export function TextPreview({ html }: { html: string }) {
  // An empty `sandbox` forbids scripts, forms, windows and the origin of the page. The frame also has the page's policy.
  return (
    <iframe
      class="preview"
      title={texts.editing.preview}
      sandbox=""
      srcdoc={`<!DOCTYPE html><meta charset="utf-8"><meta name="color-scheme" content="light dark">${html}`}
    />
  );
}
