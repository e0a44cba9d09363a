// Starts the console: decides by the address and the session which view is shown.
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { allowed, placeOf } from "./pure/places.ts";
import { ROOMS } from "./rooms.tsx";
import { forgetSession, storedSession, storeSession, type Session } from "./session.ts";
import "./style.css";
import { texts } from "./texts.ts";
import { Notice } from "./views/notice.tsx";
import { SignIn } from "./views/sign-in.tsx";

function Console() {
  const [session, setSession] = useState<Session | null>(storedSession);
  const [failed, setFailed] = useState("");
  const [place, setPlace] = useState(location.hash);

  useEffect(() => {
    const changed = () => setPlace(location.hash);
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);

  function signOut(why: string) {
    forgetSession();
    setFailed(why);
    setSession(null);
  }

  if (session === null) {
    return (
      <SignIn
        failed={failed}
        done={(signedIn) => {
          storeSession(signedIn);
          setFailed("");
          setSession(signedIn);
        }}
      />
    );
  }
  const rooms = allowed(ROOMS, session.scopes, session.isOfAllSites);
  const { room, parts } = placeOf(rooms, place);
  return (
    <>
      <header>
        <a href="#/">{texts.product}</a>
        <nav aria-label={texts.rooms}>
          {rooms.map((one) => (
            <a key={one.name} href={`#/${one.name}`} aria-current={one === room ? "page" : undefined}>{one.title}</a>
          ))}
        </nav>
        <button onClick={() => signOut("")}>{texts.signOut}</button>
      </header>
      {room ? room.draw({ session, parts, signOut }) : <main><Notice text={texts.noRooms} /></main>}
    </>
  );
}

const root = document.getElementById("console");
if (root) render(<Console />, root);
