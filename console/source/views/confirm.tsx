// Asks before something is done that cannot be undone.
import { useEffect, useRef } from "preact/hooks";
import { texts } from "../texts.ts";

export interface Question {
  text: string;
  act: () => void;
}

export function Confirm({ question, close }: { question: Question; close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} aria-label={question.text} onClose={close}>
      <p>{question.text}</p>
      <p class="help">{texts.system.logged}</p>
      <div class="bar">
        <button
          onClick={() => {
            dialog.current?.close();
            question.act();
          }}
        >
          {texts.system.yes}
        </button>
        <button autofocus onClick={() => dialog.current?.close()}>{texts.system.no}</button>
      </div>
    </dialog>
  );
}
