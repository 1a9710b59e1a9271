import { readFileSync } from "node:fs";
import { type CompileOptions, decodeSafetensors } from "@concord/tensor";
import { type Engine, engineArguments, serve } from "../engine-process.ts";
import type { SizeName } from "../workload.ts";

/** The part of a trainer that the benchmark uses. */
interface Steps<B> {
  step(batch: B): Promise<{ readonly loss: number }>;
  close(): Promise<void>;
}

/** Options of a benchmarked step: a name, and a profile of every kernel where CONCORD_PROFILE names a path for it. */
export function stepOptions(name: string): CompileOptions {
  const profile = process.env.CONCORD_PROFILE;
  return profile ? { name, profile } : { name };
}

/**
 * Serves a step of Concord.
 *
 * @param build  makes the trainer from the initial state, the tree that the workload's `initialState` returns, and
 * picks the batch from it
 */
export async function serveConcord<S, B>(
  build: (state: S, size: SizeName) => { readonly trainer: Steps<B>; readonly batch: B },
): Promise<void> {
  const { stateFile, size } = engineArguments();
  // Loaded here, so that it belongs to the memory before the model; the engine would load it with its first graph.
  await import("onnxruntime-node");
  await serve((): Engine => {
    const { trainer, batch } = build(decodeSafetensors(readFileSync(stateFile)).tree as S, size);
    return {
      name: "concord",
      step: async () => (await trainer.step(batch)).loss,
      close: () => trainer.close(),
    };
  });
}
