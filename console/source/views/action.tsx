// Runs a change, and says why it failed: beside the fields of a form, or above it.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Failure } from "../api.ts";
import { NONE, placed, type Placed, type Violation } from "../pure/violations.ts";
import { reasonOf } from "../servers.ts";
import { Notice } from "./notice.tsx";

export interface Action {
  isBusy: boolean;
  placed: Placed;
  /** What stands above the form. */
  above: ComponentChildren;
  /** Run a change. The violations of its request begin with `prefix`, and belong to `fields`. */
  run: (change: () => Promise<void>, prefix?: string, fields?: readonly string[]) => Promise<void>;
  /** Say what is wrong without a request; nothing if all is well. */
  say: (violations: readonly Violation[], prefix: string, fields: readonly string[]) => void;
}

export function useAction(signOut: (why: string) => void): Action {
  const [isBusy, setBusy] = useState(false);
  const [beside, setBeside] = useState<Placed>(NONE);

  async function run(change: () => Promise<void>, prefix = "", fields: readonly string[] = []) {
    setBusy(true);
    setBeside(NONE);
    try {
      await change();
    } catch (error) {
      if (error instanceof Failure && error.status === 401) signOut(error.message);
      const violations = error instanceof Failure ? error.violations : [];
      setBeside(violations.length > 0 ? placed(violations, prefix, fields) : { ...NONE, above: [await reasonOf(error)] });
    }
    setBusy(false);
  }

  return {
    isBusy,
    placed: beside,
    above: beside.above.length > 0 && <Notice text={beside.above.join("; ")} />,
    run,
    say: (violations, prefix, fields) => setBeside(placed(violations, prefix, fields)),
  };
}
