// The form of a listener: creates one, or changes what may change.
import { useState } from "preact/hooks";
import { changeListener, createListener, EVENT_TYPES, type Listener, type Secret } from "../../listeners-api.ts";
import { toChange, toCreate, type Fields } from "../../pure/listener-form.ts";
import type { Session } from "../../session.ts";
import { texts } from "../../texts.ts";
import { Notice } from "../notice.tsx";
import { useAction } from "./refreshing.ts";

const words = texts.listeners;
const { fields: names } = words;

function fieldsOf(form: FormData): Fields {
  const text = (name: string) => String(form.get(name) ?? "");
  return {
    url: text("url"),
    description: text("description"),
    eventTypes: form.getAll("eventType").map(String),
    galleries: text("galleries"),
    timeout: text("timeout"),
    rateLimit: text("rateLimit"),
    format: text("format"),
    isOrdered: form.has("ordered"),
  };
}

interface Props {
  session: Session;
  signOut: (why: string) => void;
  /** The listener to change; without one, a listener is created. */
  listener?: Listener;
  created?: (secret: Secret) => void;
  changed?: (listener: Listener) => void;
  cancel: () => void;
}

export function ListenerForm({ session, signOut, listener, created, changed, cancel }: Props) {
  const { isBusy, failed, act } = useAction(signOut);
  const [isNew] = useState(listener === undefined);

  function submit(event: SubmitEvent) {
    event.preventDefault();
    const fields = fieldsOf(new FormData(event.currentTarget as HTMLFormElement));
    void act(async () => {
      if (listener === undefined) created?.(await createListener(session, toCreate(fields)));
      else changed?.(await changeListener(session, listener.id, toChange(fields, listener)));
    });
  }

  return (
    <form onSubmit={submit} class="listener-form">
      {failed && <Notice text={failed} />}
      <label>
        {names.url}
        <input name="url" type="url" required maxLength={2048} defaultValue={listener?.url ?? ""} aria-describedby="url-help" />
      </label>
      <p id="url-help" class="help">{names.urlHelp}</p>
      <label>
        {names.description}
        <input name="description" maxLength={1000} defaultValue={listener?.description ?? ""} />
      </label>
      <fieldset>
        <legend>{names.eventTypes}</legend>
        {EVENT_TYPES.map((type) => (
          <label key={type} class="choice">
            <input
              name="eventType"
              type="checkbox"
              value={type}
              defaultChecked={listener === undefined || listener.eventTypes.includes(type)}
            />
            {words.eventTypes[type]}
          </label>
        ))}
      </fieldset>
      <label>
        {names.galleries}
        <textarea name="galleries" rows={2} defaultValue={listener?.galleryIds?.join("\n") ?? ""} aria-describedby="galleries-help" />
      </label>
      <p id="galleries-help" class="help">{names.galleriesHelp}</p>
      {isNew && (
        <>
          <label>
            {names.format}
            <select name="format" aria-describedby="format-help">
              {Object.entries(words.formats).map(([value, name]) => <option key={value} value={value}>{name}</option>)}
            </select>
          </label>
          <label class="choice"><input name="ordered" type="checkbox" /> {names.ordered}</label>
          <p id="format-help" class="help">{names.fixedHelp}</p>
        </>
      )}
      <label>
        {names.timeout}
        <input name="timeout" inputMode="decimal" defaultValue={listener ? String(listener.timeoutSeconds) : ""} aria-describedby="timeout-help" />
      </label>
      <p id="timeout-help" class="help">{names.timeoutHelp}</p>
      <label>
        {names.rateLimit}
        <input name="rateLimit" inputMode="decimal" defaultValue={listener?.rateLimit?.toString() ?? ""} aria-describedby="rate-help" />
      </label>
      <p id="rate-help" class="help">{names.rateLimitHelp}</p>
      <p class="row">
        <button disabled={isBusy}>{isNew ? words.create : words.save}</button>
        <button type="button" onClick={cancel}>{words.cancel}</button>
      </p>
    </form>
  );
}
