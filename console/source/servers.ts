// Asks the gateway which of its servers do not answer, for people who see that something failed.
import { troubleOf } from "./pure/readiness.ts";
import { texts } from "./texts.ts";

/** What is wrong in words; empty if the gateway is ready. */
export async function whatIsWrong(): Promise<string> {
  try {
    const answer = await fetch("health/ready", { cache: "no-store" });
    const trouble = troubleOf(answer.ok, await answer.json().catch(() => null));
    return trouble === null ? "" : texts.servers[trouble];
  } catch {
    return texts.away;
  }
}
