// Starts the console: decides by the address and the session which view is shown.
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { forgetSession, storedSession, storeSession, type Session } from "./session.ts";
import "./style.css";
import { texts } from "./texts.ts";
import { Galleries } from "./views/galleries.tsx";
import { Gallery } from "./views/gallery.tsx";
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
  const id = /^#\/galleries\/([^/]+)$/.exec(place)?.[1];
  return (
    <>
      <header>
        <a href="#/">{texts.product}</a>
        <button onClick={() => signOut("")}>{texts.signOut}</button>
      </header>
      {id === undefined
        ? <Galleries session={session} signOut={signOut} />
        : <Gallery key={id} session={session} id={id} signOut={signOut} />}
    </>
  );
}

const root = document.getElementById("console");
if (root) render(<Console />, root);
