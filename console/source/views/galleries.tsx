// Lists the site's galleries, newest first, a page at a time.
import { useState } from "preact/hooks";
import { GALLERIES_OF_PAGE, readGalleries, type Gallery } from "../api.ts";
import type { Session } from "../session.ts";
import { texts } from "../texts.ts";
import { Notice } from "./notice.tsx";
import { useWatched } from "./watching.ts";

export function Galleries({ session, signOut }: { session: Session; signOut: (why: string) => void }) {
  const [offset, setOffset] = useState(0);
  const [shown, setShown] = useState<{ total: number; offset: number; galleries: Gallery[] } | null>(null);

  const watched = useWatched(
    session,
    "progallery/v2/events",
    [offset],
    async (consistent, signal) => {
      const answer = await readGalleries(session, offset, consistent, signal);
      if (answer.galleries.length === 0 && offset > 0) {
        setOffset(Math.floor(Math.max(0, answer.totalGalleries - 1) / GALLERIES_OF_PAGE) * GALLERIES_OF_PAGE);
        return;
      }
      setShown({ total: answer.totalGalleries, offset, galleries: answer.galleries });
    },
    () => {},
    signOut,
  );

  return (
    <main>
      <h1>{texts.galleries}</h1>
      {watched.problem && <Notice text={watched.problem} retry={watched.again} />}
      {shown === null ? !watched.problem && <p role="status">{texts.loading}</p> : (
        <>
          <p role="status">{texts.galleriesCount(shown.total)} {watched.isLive && texts.live}</p>
          {shown.total === 0 && <p>{texts.noGalleries}</p>}
          <ul class="galleries">
            {shown.galleries.map((gallery) => (
              <li key={gallery.id}>
                <a href={`#/galleries/${gallery.id}`}>{gallery.name || texts.unnamed}</a>
                <span>{texts.items(gallery.totalItems)}</span>
              </li>
            ))}
          </ul>
          {shown.total > GALLERIES_OF_PAGE && (
            <nav aria-label={texts.galleries}>
              <button disabled={shown.offset === 0} onClick={() => setOffset(shown.offset - GALLERIES_OF_PAGE)}>
                {texts.newer}
              </button>
              <span>{texts.range(shown.offset + 1, shown.offset + shown.galleries.length, shown.total)}</span>
              <button
                disabled={shown.offset + GALLERIES_OF_PAGE >= shown.total}
                onClick={() => setOffset(shown.offset + GALLERIES_OF_PAGE)}
              >
                {texts.older}
              </button>
            </nav>
          )}
        </>
      )}
    </main>
  );
}
