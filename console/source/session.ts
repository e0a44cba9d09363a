// Keeps the API key and the site in this tab only: they are gone when the tab is closed.
export interface Session {
  key: string;
  /** Empty for the site of the key. */
  site: string;
  /** What the key is allowed, as it was at sign-in. */
  scopes: string[];
  /** Whether the key belongs to no site: only such a key works on what is about all sites. */
  isOfAllSites: boolean;
}

const NAME = "triptych.session";

export function storedSession(): Session | null {
  const stored = sessionStorage.getItem(NAME);
  const session = stored === null ? null : (JSON.parse(stored) as Partial<Session>);
  return session?.scopes ? (session as Session) : null; // an earlier console stored no scopes
}

export function storeSession(session: Session): void {
  sessionStorage.setItem(NAME, JSON.stringify(session));
}

export function forgetSession(): void {
  sessionStorage.removeItem(NAME);
}

/** Whether the key may change galleries. Controls for that are shown only then. */
export function mayWrite(session: Session): boolean {
  return session.scopes.includes("manage");
}

/** The headers of every request. */
export function headersOf(session: Session): Record<string, string> {
  return { Authorization: session.key, ...(session.site ? { "wix-site-id": session.site } : {}) };
}
