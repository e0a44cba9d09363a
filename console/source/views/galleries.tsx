// Lists the site's galleries a page at a time: newest first, or those whose name begins with a text, by name.
import { useEffect, useState } from "preact/hooks";
import { GALLERIES_OF_PAGE, readGalleries, type Gallery } from "../api.ts";
import { mayWrite, type Session } from "../session.ts";
import { texts } from "../texts.ts";
import { CreateGallery } from "./create-gallery.tsx";
import { Notice } from "./notice.tsx";
import { useWatched } from "./watching.ts";

const TYPED_MS = 250; // a name that is being typed is not searched for at each letter

interface Shown {
  total: number;
  first: number;
  name: string;
  galleries: Gallery[];
  next: string | undefined;
}

/** A page of a list: the name that is searched for, and the cursors of the pages up to this one. */
interface Place {
  name: string;
  cursors: readonly string[];
}

export function Galleries({ session, signOut }: { session: Session; signOut: (why: string) => void }) {
  const canWrite = mayWrite(session);
  const [typed, setTyped] = useState("");
  const [place, setPlace] = useState<Place>({ name: "", cursors: [""] });
  const [shown, setShown] = useState<Shown | null>(null);

  useEffect(() => {
    const name = typed.trim();
    if (name === place.name) return undefined;
    const timer = setTimeout(() => setPlace({ name, cursors: [""] }), TYPED_MS);
    return () => clearTimeout(timer);
  }, [typed]);

  const watched = useWatched(
    session,
    "progallery/v2/events",
    [place],
    async (consistent, signal) => {
      const { name, cursors } = place;
      const answer = await readGalleries(session, name, cursors.at(-1) ?? "", consistent, signal);
      if (answer.galleries.length === 0 && cursors.length > 1) {
        setPlace({ name, cursors: [""] });
        return;
      }
      const first = (cursors.length - 1) * GALLERIES_OF_PAGE;
      setShown({ total: answer.totalGalleries, first, name, galleries: answer.galleries, next: answer.nextCursor });
    },
    () => {},
    signOut,
  );

  const { name, cursors } = place;
  return (
    <main>
      <h1>{texts.galleries}</h1>
      <label>
        {texts.search}
        <input
          type="search"
          maxLength={200}
          value={typed}
          onInput={(event) => setTyped(event.currentTarget.value)}
        />
      </label>
      {watched.problem && <Notice text={watched.problem} retry={() => watched.again()} />}
      {shown === null ? !watched.problem && <p role="status">{texts.loading}</p> : (
        <>
          <p role="status">
            {shown.name ? texts.found(shown.total) : texts.galleriesCount(shown.total)}. {watched.isLive && texts.live}
          </p>
          {shown.total === 0 && <p>{shown.name ? texts.noneFound : texts.noGalleries}</p>}
          <ul class="lines">
            {shown.galleries.map((gallery) => (
              <li key={gallery.id}>
                <a href={`#/galleries/${gallery.id}`}>{gallery.name || texts.unnamed}</a>
                <span class="last">{texts.items(gallery.totalItems)}</span>
              </li>
            ))}
          </ul>
          {(shown.next !== undefined || cursors.length > 1) && (
            <nav aria-label={texts.galleries}>
              <button
                disabled={cursors.length === 1}
                onClick={() => setPlace({ name, cursors: cursors.slice(0, -1) })}
              >
                {name ? texts.previous : texts.newer}
              </button>
              <span>{texts.range(shown.first + 1, shown.first + shown.galleries.length, shown.total)}</span>
              <button
                disabled={shown.next === undefined}
                onClick={() => setPlace({ name, cursors: [...cursors, shown.next ?? ""] })}
              >
                {name ? texts.next : texts.older}
              </button>
            </nav>
          )}
          {canWrite && <CreateGallery session={session} signOut={signOut} />}
        </>
      )}
    </main>
  );
}
