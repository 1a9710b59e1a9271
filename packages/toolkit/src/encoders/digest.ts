import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { dirname, join } from "node:path";

/** JSON with the keys of objects in order, so that equal settings give equal text. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : inner,
  );
}

/** SHA-256 of a model's files and of the settings of its preprocessing. */
export async function encoderDigest(
  modelFile: string,
  externalFiles: readonly string[],
  settings: unknown,
): Promise<string> {
  const hash = createHash("sha256");
  for (const file of [modelFile, ...externalFiles.map((name) => join(dirname(modelFile), name))]) {
    const one = createHash("sha256");
    for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 })) one.update(chunk as Buffer);
    hash.update(one.digest());
  }
  return hash.update(canonical(settings)).digest("hex");
}
