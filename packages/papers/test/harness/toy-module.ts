import { toyExperiment } from "./toy-experiment.ts";

/** The toy experiment for threads; with the seed 666 its arm `fast` fails. */
const toy = toyExperiment({ stepMilliseconds: 1, checkpointEverySeconds: 0.02 });

export const experiment: typeof toy = {
  ...toy,
  async runArm(arm, shared, context) {
    if (arm === "fast" && context.seed === 666) throw new RangeError("the disk is on fire");
    return toy.runArm(arm, shared, context);
  },
};
