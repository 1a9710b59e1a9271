import { join } from "node:path";
import { randomKey } from "@concord/tensor";
import type { ArrayTree, UnitContext } from "../../harness/contract.ts";
import { smokeConfig, type VocoConfig } from "./config.ts";

type Context = UnitContext<VocoConfig> & { readonly notes: string[]; readonly phases: Set<string> };

/** A unit of work for tests, whose checkpoints live in memory, and which may be killed after so many of them. */
export function contextOf(
  seed: number,
  given: {
    readonly config?: VocoConfig;
    readonly inputs?: Readonly<Record<string, string>>;
    readonly folder?: string;
    readonly saved?: Map<string, { step: number; state: ArrayTree }>;
    readonly killAt?: number;
  } = {},
): Context {
  const { config = tiny, inputs = {}, folder = "", saved = new Map(), killAt = Infinity } = given;
  const notes: string[] = [];
  const phases = new Set<string>();
  const controller = new AbortController();
  return {
    notes,
    phases,
    config,
    seed,
    key: randomKey(seed),
    unit: `test/seed-${seed}`,
    inputs,
    signal: controller.signal,
    log(phase, step) {
      if (phase === "pre-training" && step === killAt) controller.abort(new Error("killed"));
    },
    note: (message) => void notes.push(message),
    progress: ({ phase }) => void phases.add(phase),
    memo: <T extends ArrayTree>(_name: string, build: () => Promise<T>): Promise<T> => build(),
    checkpoint: {
      load: async (name) => saved.get(name) ?? null,
      save: async (name, step, state) => void saved.set(name, { step, state }),
    },
    artefact: (name) => join(folder, name),
  };
}

/** Small enough for every arm to run in a test. */
export const tiny: VocoConfig = {
  ...smokeConfig,
  data: { ...smokeConfig.data, generated: { unlabelled: 4, labelled: 2, test: 3 } },
  pretraining: { ...smokeConfig.pretraining, steps: 6 },
  fineTuning: { ...smokeConfig.fineTuning, steps: 4 },
};
