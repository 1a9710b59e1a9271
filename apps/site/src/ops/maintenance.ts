import type { Store } from "@concord/feed";
import type { Service } from "../site-parts.ts";
import type { Log } from "./log.ts";

const HOUR_MS = 3_600_000;
const FIRST_MS = 30_000;

/** Lets the store forget what has expired, once an hour. */
export function maintenance(store: Store, log: Log): Service {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  const tidy = async () => {
    try {
      const { expired, ms } = await store.maintain();
      log.debug({ expired, ms }, "store tidied");
    } catch (err) {
      log.warn({ err }, "the store could not be tidied");
    }
  };
  const schedule = (delay: number) => {
    timer = setTimeout(() => {
      running = tidy().then(() => schedule(HOUR_MS));
    }, delay);
    timer.unref();
  };
  return {
    start: () => schedule(FIRST_MS),
    async stop() {
      clearTimeout(timer);
      await running;
      clearTimeout(timer);
    },
  };
}
