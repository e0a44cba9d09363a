// Lists the open dead letters by reason, shows one, and replays or drops one or all of a reason, after a question.
import { useEffect, useRef, useState } from "preact/hooks";
import { Failure } from "../api.ts";
import { dateOf } from "../pure/dates.ts";
import { byReason } from "../pure/letters.ts";
import {
  handleLetter, handleLetters, readLetter, readLetters, type FullLetter, type Letter,
} from "../requests.ts";
import type { Session } from "../session.ts";
import { texts } from "../texts.ts";
import { Confirm, type Question } from "./confirm.tsx";
import { Json } from "./json.tsx";
import { Notice } from "./notice.tsx";

const { system: words } = texts;
type Action = "replay" | "drop";

export function Letters({ session, signOut }: { session: Session; signOut: (why: string) => void }) {
  const [letters, setLetters] = useState<Letter[] | null>(null);
  const [cursor, setCursor] = useState("");
  const [reason, setReason] = useState("");
  const [shown, setShown] = useState<FullLetter | null>(null);
  const [question, setQuestion] = useState<Question | null>(null);
  const [told, setTold] = useState("");
  const [problem, setProblem] = useState("");
  const [isBusy, setBusy] = useState(false);
  const own = useRef(new AbortController());
  useEffect(() => () => own.current.abort(), []);

  async function run(work: () => Promise<void>) {
    setBusy(true);
    setProblem("");
    setTold("");
    try {
      await work();
    } catch (error) {
      if (own.current.signal.aborted) return;
      if (error instanceof Failure && error.status === 401) signOut(error.message);
      else setProblem(error instanceof Failure ? error.message : String(error));
    }
    setBusy(false);
  }

  async function read(from: string) {
    const page = await readLetters(session, from, own.current.signal);
    setLetters((known) => (from ? [...(known ?? []), ...page.deadLetters] : page.deadLetters));
    setCursor(page.cursor ?? "");
  }

  function ask(action: Action, what: string, act: () => Promise<void>) {
    const text = action === "replay" ? words.confirmReplay(what) : words.confirmDrop(what);
    setQuestion({ text, act: () => void run(act) });
  }

  function askOne(action: Action, letter: Letter) {
    ask(action, letter.id, async () => {
      await handleLetter(session, letter.id, action);
      setTold(words.done(1, 0));
      setShown(null);
      await read("");
    });
  }

  function askAll(action: Action) {
    ask(action, words.allOf(reason), async () => {
      const { done, refused } = await handleLetters(session, reason, action);
      setTold(words.done(done, refused));
      setShown(null);
      await read("");
    });
  }

  const meant = letters?.filter((letter) => !reason || letter.reason === reason) ?? [];
  return (
    <section aria-label={words.letters}>
      <h2>{words.letters}</h2>
      {problem && <Notice text={problem} />}
      <p role="status">{told}</p>
      <button disabled={isBusy} onClick={() => void run(() => read(""))}>{words.readLetters}</button>
      {letters && <p>{letters.length || cursor ? words.lettersRead(letters.length, cursor !== "") : words.noLetters}</p>}
      {letters && letters.length > 0 && (
        <div class="bar">
          <label>
            {words.reason}
            <select value={reason} onChange={(event) => setReason(event.currentTarget.value)}>
              <option value="">{words.allReasons}</option>
              {byReason(letters).map(([name, count]) => (
                <option key={name} value={name}>{words.reasonCount(name, count)}</option>
              ))}
            </select>
          </label>
          {reason && <button disabled={isBusy} onClick={() => askAll("replay")}>{words.replayAll}</button>}
          {reason && <button disabled={isBusy} onClick={() => askAll("drop")}>{words.dropAll}</button>}
        </div>
      )}
      <ul class="blocks">
        {meant.map((letter) => (
          <li key={letter.id}>
            <p>
              <b>{letter.reason}</b> <code>{letter.id}</code> <time dateTime={letter.date}>{dateOf(letter.date)}</time>
            </p>
            <p>{letter.error}</p>
            <div class="bar">
              <button
                disabled={isBusy}
                onClick={() => void run(async () => setShown(await readLetter(session, letter.id, own.current.signal)))}
              >
                {words.show}
              </button>
              <button disabled={isBusy} onClick={() => askOne("replay", letter)}>{words.replay}</button>
              <button disabled={isBusy} onClick={() => askOne("drop", letter)}>{words.drop}</button>
            </div>
            {shown?.id === letter.id && <Json value={shown} label={letter.id} />}
          </li>
        ))}
      </ul>
      {cursor && <button disabled={isBusy} onClick={() => void run(() => read(cursor))}>{words.moreLetters}</button>}
      {question && <Confirm question={question} close={() => setQuestion(null)} />}
    </section>
  );
}
