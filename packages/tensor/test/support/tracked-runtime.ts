import { runtime } from "#runtime";
import type { Runtime, Session } from "../../src/index.ts";

/** The runtime of the tests: one thread a graph, graphs counted, all of them freed by one call. */
export interface TrackedRuntime extends Runtime {
  readonly sessions: readonly Session[];
  /** Inputs and outputs of every run, in order. */
  readonly runs: readonly Parameters<Session["run"]>[];
  release(): Promise<void>;
}

export function trackedRuntime(): TrackedRuntime {
  const sessions: Session[] = [];
  const runs: Parameters<Session["run"]>[] = [];
  return {
    description: runtime.description,
    target: runtime.target,
    sessions,
    runs,
    open: (model, options) => runtime.open(model, { threads: 1, ...options }),
    async load(model, options) {
      const session = await runtime.load(model, { threads: 1, ...options });
      const observed: Session = {
        run: (feeds, fetches) => {
          runs.push([feeds, fetches]);
          return session.run(feeds, fetches);
        },
        release: () => session.release(),
      };
      sessions.push(observed);
      return observed;
    },
    async release() {
      for (const session of sessions.splice(0)) await session.release();
    },
  };
}
