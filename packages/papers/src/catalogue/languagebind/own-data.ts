import type { PresetName, RunInput, UnitContext } from "../../harness/contract.ts";
import type { LanguageBindConfig } from "./config.ts";
import type { Task } from "./task.ts";

type Inputs = Readonly<Record<string, string | boolean>>;
export const inputs: readonly RunInput[] = [];
export interface OwnRun {
  readonly config: LanguageBindConfig;
}
export function ownRun(_c: LanguageBindConfig, _g: Inputs): OwnRun | null {
  return null;
}
export async function validateOwnRun(_c: LanguageBindConfig, _g: Inputs, _p: PresetName): Promise<void> {}
export async function loadOwnTask(_c: UnitContext<LanguageBindConfig>, _r: OwnRun): Promise<Task> {
  throw new Error("x");
}
