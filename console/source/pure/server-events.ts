// Reads Server-Sent Events (HTML standard, section 9.2) from the pieces in which they arrive.
export interface ServerEvent {
  /** The position after the event, for `Last-Event-ID`. */
  id: string;
  /** The slug of the event; empty for a frame that gives the position only. */
  event: string;
  data: string;
  /** The gateway puts one in front of a heartbeat to say why no events can come; otherwise empty. */
  comment: string;
}

export class ServerEventReader {
  #rest = "";

  /** The events that are complete with this piece. */
  push(piece: string): ServerEvent[] {
    const frames = (this.#rest + piece).split("\n\n");
    this.#rest = frames.pop() ?? "";
    return frames.map(read);
  }
}

function read(frame: string): ServerEvent {
  const found: ServerEvent = { id: "", event: "", data: "", comment: "" };
  for (const line of frame.split("\n")) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "id" || name === "event") found[name] = value;
    else if (colon === 0) found.comment = value;
    else if (name === "data") found.data = found.data ? `${found.data}\n${value}` : value;
  }
  return found;
}
