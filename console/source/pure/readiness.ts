// Reads which server is missing from the answer of `/health/ready`.
export type Missing = "kafka" | "mongodb" | "other";

/** The server that does not answer, the one that most depends on first; null if the gateway is ready. */
export function troubleOf(isReady: boolean, body: unknown): Missing | null {
  if (isReady) return null;
  const problems = body !== null && typeof body === "object" && "problems" in body ? body.problems : null;
  const names = problems !== null && typeof problems === "object" ? Object.keys(problems) : [];
  if (names.includes("mongodb")) return "mongodb";
  return names.includes("kafka") || names.includes("topics") ? "kafka" : "other";
}
