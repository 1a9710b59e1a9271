import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

/** Growth of memory over the second half of the steps, in KiB a step. */
async function growth(steps: number, every: number): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--expose-gc",
    "--max-semi-space-size=4",
    "--conditions=source",
    "--disable-warning=ExperimentalWarning",
    fileURLToPath(new URL("./soak.ts", import.meta.url)),
    String(steps),
    String(every),
  ]);
  return (JSON.parse(stdout) as { readonly kibibytesPerStep: number }).kibibytesPerStep;
}

test("steps of a trainer leave nothing behind", async () => {
  // Measured 0.1 to 0.2; a step that kept its batch of 2.5 KiB shows 3.3.
  expect(await growth(6000, 0)).toBeLessThan(1);
});

test("evaluations and functions that are closed leave no graph behind", async () => {
  // Measured 3 to 5, while the allocator settles; one graph kept of the three compiled in each step shows 80.
  expect(await growth(800, 1)).toBeLessThan(25);
});
