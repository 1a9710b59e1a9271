import { describe } from "vitest";
import { activityConformance } from "./activity.ts";
import { mailConformance } from "./mail.ts";
import { paperListsConformance } from "./paper-lists.ts";
import { papersConformance } from "./papers.ts";
import { peopleConformance } from "./people.ts";
import { searchConformance } from "./search.ts";
import type { OpenStore } from "./support.ts";
import { workConformance } from "./work.ts";

/**
 * What every store must do, whatever keeps its rows: the ports' promises as tests.
 *
 * @param openStore  gives an empty store that takes the time from the clock; each test closes its own
 */
export function conformance(name: string, openStore: OpenStore): void {
  describe(name, () => {
    papersConformance(openStore);
    paperListsConformance(openStore);
    searchConformance(openStore);
    peopleConformance(openStore);
    activityConformance(openStore);
    mailConformance(openStore);
    workConformance(openStore);
  });
}
