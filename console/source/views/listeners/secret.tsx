// Shows a new key once, and code that verifies deliveries with it.
import { useState } from "preact/hooks";
import type { Secret } from "../../listeners-api.ts";
import { snippets } from "../../snippets.generated.ts";
import { texts } from "../../texts.ts";

const words = texts.listeners;

export function NewSecret({ made, hide }: { made: Secret; hide: () => void }) {
  const [isCopied, setCopied] = useState(false);
  const shown = made.secret ?? made.verificationKey ?? made.publicKey ?? "";
  return (
    <section class="secret" aria-labelledby="secret-title">
      <h2 id="secret-title">{made.secret === null ? words.publicTitle : words.secretTitle}</h2>
      <pre tabIndex={0}>{shown}</pre>
      {made.secret !== null && <p class="help">{words.secretHelp}</p>}
      <p class="row">
        <button onClick={() => void navigator.clipboard?.writeText(shown).then(() => setCopied(true))}>
          {isCopied ? words.copied : words.copy}
        </button>
        <button onClick={hide}>{words.hide}</button>
      </p>
    </section>
  );
}

/** Code in five languages that verifies a delivery in this format. */
export function Verification({ format }: { format: string }) {
  const code = snippets[format] ?? {};
  const [language, setLanguage] = useState("python");
  return (
    <details>
      <summary>{words.verifyTitle}</summary>
      <label>
        {words.language}
        <select value={language} onChange={(event) => setLanguage(event.currentTarget.value)}>
          {Object.keys(code).map((one) => <option key={one} value={one}>{words.languages[one]}</option>)}
        </select>
      </label>
      <pre tabIndex={0}>{code[language]}</pre>
    </details>
  );
}
