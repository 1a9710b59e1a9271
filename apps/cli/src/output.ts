import { once } from "node:events";
import type { Output } from "./context.ts";

/** Writes, and waits while whoever reads the output is slower. */
export async function writeOut(output: Output, text: string): Promise<void> {
  if (!output.write(text)) await once(output, "drain");
}
