// Lists the rooms of the console, in the order of the navigation. A room appears with its page.
import type { ComponentChildren } from "preact";
import type { Entrance } from "./pure/places.ts";
import type { Session } from "./session.ts";
import { texts } from "./texts.ts";
import { Change } from "./views/change.tsx";
import { Galleries } from "./views/galleries.tsx";
import { Gallery } from "./views/gallery.tsx";
import { Happened } from "./views/happened.tsx";
import { Listeners } from "./views/listeners/index.tsx";
import { System } from "./views/system.tsx";

export interface Inside {
  session: Session;
  /** The parts of the address after the name of the room. */
  parts: string[];
  signOut: (why: string) => void;
}

export interface Room extends Entrance {
  title: string;
  draw: (inside: Inside) => ComponentChildren;
}

export const ROOMS: readonly Room[] = [
  {
    name: "galleries",
    title: texts.galleries,
    scope: "read",
    draw: ({ session, parts: [id], signOut }) =>
      id === undefined
        ? <Galleries session={session} signOut={signOut} />
        : <Gallery key={id} session={session} id={id} signOut={signOut} />,
  },
  {
    name: "happened",
    title: texts.happened.title,
    scope: "read",
    draw: ({ session, parts: [galleryId = "", sequence, place = ""], signOut }) =>
      sequence === undefined ? <Happened session={session} galleryId={galleryId} signOut={signOut} /> : (
        <Change
          key={`${galleryId}/${sequence}`}
          session={session}
          galleryId={galleryId}
          sequence={sequence}
          place={place}
          signOut={signOut}
        />
      ),
  },
  {
    name: "listeners",
    title: texts.listeners.title,
    scope: "listeners",
    draw: ({ session, parts: [id, deliveryId], signOut }) =>
      <Listeners session={session} id={id} deliveryId={deliveryId} signOut={signOut} />,
  },
  {
    name: "system",
    title: texts.system.title,
    scope: ["operate", "dead-letters"],
    isAboutAllSites: true,
    draw: ({ session, signOut }) => <System session={session} signOut={signOut} />,
  },
];
