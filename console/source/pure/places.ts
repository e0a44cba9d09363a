// Decides which rooms a key may enter, and which room an address of the page names.
export interface Entrance {
  /** The first part of the addresses of the room. */
  name: string;
  /** The scope that a key needs for it, or several, of which it needs one. */
  scope: string | readonly string[];
  /** Whether it is about all sites, so that a key of a site does not work there. */
  isAboutAllSites?: boolean;
}

/** The rooms that a key may enter. */
export function allowed<Room extends Entrance>(
  rooms: readonly Room[], scopes: readonly string[], isOfAllSites: boolean,
): Room[] {
  return rooms.filter((room) => {
    const wanted = [room.scope].flat();
    return wanted.some((scope) => scopes.includes(scope)) && (isOfAllSites || !room.isAboutAllSites);
  });
}

/** The room that `#/name/part/part` names, else the first one, with the parts after the name. */
export function placeOf<Room extends Entrance>(
  rooms: readonly Room[], address: string,
): { room: Room | undefined; parts: string[] } {
  const [name, ...parts] = address.replace(/^#?\/?/, "").split("/").map(decoded);
  const room = rooms.find((one) => one.name === name);
  return room ? { room, parts: parts.filter(Boolean) } : { room: rooms[0], parts: [] };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
