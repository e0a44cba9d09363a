// Decides by the address which page of listeners is shown.
import { useEffect, useState } from "preact/hooks";
import type { Secret } from "../../listeners-api.ts";
import type { Session } from "../../session.ts";
import { texts } from "../../texts.ts";
import { DeliveryPage } from "./delivery.tsx";
import { ListenerForm } from "./form.tsx";
import { ListenerList } from "./list.tsx";
import { ListenerPage } from "./listener.tsx";

interface Props {
  session: Session;
  /** Of a listener, or `new`; without one, all listeners are shown. */
  id: string | undefined;
  deliveryId: string | undefined;
  signOut: (why: string) => void;
}

export function Listeners({ session, id, deliveryId, signOut }: Props) {
  const [made, setMade] = useState<Secret | null>(null);
  // A secret is shown once: whoever comes back does not see it again.
  useEffect(() => {
    if (made !== null && (id !== made.listener.id || deliveryId !== undefined)) setMade(null);
  }, [id, deliveryId]);
  if (id === undefined) return <ListenerList session={session} signOut={signOut} />;
  if (id === "new") {
    return (
      <main>
        <p><a href="#/listeners">{texts.listeners.back}</a></p>
        <h1>{texts.listeners.create}</h1>
        <ListenerForm
          session={session}
          signOut={signOut}
          created={(secret) => { setMade(secret); location.hash = `#/listeners/${secret.listener.id}`; }}
          cancel={() => { location.hash = "#/listeners"; }}
        />
      </main>
    );
  }
  if (deliveryId !== undefined) {
    return <DeliveryPage key={deliveryId} session={session} listenerId={id} id={deliveryId} signOut={signOut} />;
  }
  const own = made?.listener.id === id ? made : null;
  return <ListenerPage key={id} session={session} id={id} made={own} signOut={signOut} />;
}
