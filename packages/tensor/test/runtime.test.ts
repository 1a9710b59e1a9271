import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Tensor } from "../src/index.ts";
import { add, createTrainer, matmul, ndarray, ones } from "../src/index.ts";
import { runtime } from "../src/runtime/node.ts";
import { defaultThreads } from "../src/runtime/threads.ts";

afterEach(() => vi.unstubAllEnvs());

describe("the native runtime", () => {
  test("says what it is", () => {
    expect(runtime.description).toMatch(/^onnxruntime-node \d+\.\d+\.\d+ cpu$/);
  });

  test.each([
    ["3", 3],
    ["0", availableParallelism()],
    ["many", availableParallelism()],
    ["", availableParallelism()],
  ])("with CONCORD_THREADS=%j uses %i threads", (value, threads) => {
    vi.stubEnv("CONCORD_THREADS", value);
    expect(defaultThreads()).toBe(threads);
  });

  test("writes a profile that names every kernel when asked", async () => {
    const folder = mkdtempSync(join(tmpdir(), "concord-profile-"));
    try {
      const trainer = createTrainer({
        state: { w: ndarray([[1, 2]]) },
        step: ({ w }, { x }: { readonly x: Tensor }) => ({
          state: { w: add(w, matmul(x, ones([2, 2]))) },
          metrics: {},
        }),
        options: { profile: join(folder, "step") },
      });
      await trainer.step({ x: ndarray([[3, 4]]) });
      await trainer.close();
      const [file] = readdirSync(folder);
      const events = JSON.parse(readFileSync(join(folder, file!), "utf8")) as { readonly name: string }[];
      expect(events.some(({ name }) => name.startsWith("MatMul"))).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
