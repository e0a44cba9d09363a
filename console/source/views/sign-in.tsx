// Asks for an API key, and tries it before it is kept.
import { useState } from "preact/hooks";
import { Failure, openSession } from "../api.ts";
import type { Session } from "../session.ts";
import { texts } from "../texts.ts";
import { Notice } from "./notice.tsx";

export function SignIn({ failed, done }: { failed: string; done: (session: Session) => void }) {
  const [problem, setProblem] = useState(failed);
  const [isBusy, setBusy] = useState(false);

  async function submit(event: SubmitEvent) {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    setBusy(true);
    try {
      done(await openSession(String(form.get("key")).trim(), String(form.get("site")).trim()));
    } catch (error) {
      setProblem(error instanceof Failure ? error.message : String(error));
      setBusy(false);
    }
  }

  return (
    <main>
      <h1>{texts.product}</h1>
      <form onSubmit={submit}>
        {problem && <Notice text={problem} />}
        <label>
          {texts.key}
          <input name="key" type="password" required autocomplete="off" aria-describedby="key-help" />
        </label>
        <p id="key-help" class="help">{texts.keyHelp}</p>
        <label>
          {texts.site}
          <input name="site" autocomplete="off" aria-describedby="site-help" />
        </label>
        <p id="site-help" class="help">{texts.siteHelp}</p>
        <button disabled={isBusy}>{texts.signIn}</button>
      </form>
    </main>
  );
}
