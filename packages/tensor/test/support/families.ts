import { readdirSync } from "node:fs";
import type { Application, OperationFamily } from "./family.ts";

const folder = new URL("../operations/", import.meta.url);

/** Every family by the name of its file. */
export const families: ReadonlyMap<string, OperationFamily> = new Map(
  await Promise.all(
    readdirSync(folder)
      .filter((file) => file.endsWith(".ts"))
      .map(async (file): Promise<[string, OperationFamily]> => {
        const { family } = (await import(/* @vite-ignore */ new URL(file, folder).href)) as {
          family: OperationFamily;
        };
        return [file.slice(0, -3), family];
      }),
  ),
);

export const applications: Readonly<Record<string, Application>> = Object.assign(
  {},
  ...[...families.values()].map((family) => family.applications),
);

function named(
  key: "float32Only" | "withoutGradient" | "otherGradient" | "positive" | "fixedInputs",
): ReadonlySet<string> {
  return new Set([...families.values()].flatMap((family) => family[key] ?? []));
}

export const TESTED_ELSEWHERE: Readonly<Record<string, string>> = Object.assign(
  {},
  ...[...families.values()].map((family) => family.testedElsewhere ?? {}),
);
export const FLOAT32_ONLY = named("float32Only");
export const WITHOUT_GRADIENT = named("withoutGradient");
export const OTHER_GRADIENT = named("otherGradient");
export const POSITIVE = named("positive");
export const FIXED_INPUTS = named("fixedInputs");
