// Shows what went wrong, and how to go on.
import { texts } from "../texts.ts";

export function Notice({ text, retry }: { text: string; retry?: () => void }) {
  return (
    <p class="notice" role="alert">
      {text} {retry && <button onClick={retry}>{texts.retry}</button>}
    </p>
  );
}
