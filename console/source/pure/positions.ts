// Remembers up to which sequence galleries have changed, so that a read can ask for that state or a later one.
const MOST = 8; // what the gateway reads of the header

export class Positions {
  readonly #sequences = new Map<string, number>();

  /** Note that a gallery is at this sequence. */
  note(galleryId: string, sequence: number): void {
    const known = this.#sequences.get(galleryId) ?? 0;
    this.#sequences.delete(galleryId); // the newest is last
    this.#sequences.set(galleryId, Math.max(known, sequence));
    const oldest = this.#sequences.keys().next();
    if (this.#sequences.size > MOST && !oldest.done) this.#sequences.delete(oldest.value);
  }

  /** Note what a write has answered: the value of `X-Wix-Consistent`. */
  noteAll(consistent: string): void {
    for (const position of consistent.split(",").reverse()) {
      const [id, sequence] = position.split(":");
      if (id && sequence) this.note(id.trim(), Number(sequence));
    }
  }

  /** The value of `X-Wix-Consistent`, newest first; empty without positions. */
  header(): string {
    return [...this.#sequences].reverse().map(([id, sequence]) => `${id}:${sequence}`).join(",");
  }
}
