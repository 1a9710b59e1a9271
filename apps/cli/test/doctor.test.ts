import { availableDevices, openRuntime, type Runtime } from "@concord/tensor";
import { describe, expect, it, vi } from "vitest";
import { selfTest } from "../src/doctor/self-test.ts";
import { toyCommand } from "./toy-context.ts";

const DOCTOR_MS = 60_000;

describe("concord doctor", () => {
  it("finds this machine healthy, and says what it runs on", { timeout: DOCTOR_MS }, async () => {
    const { code, stdout, stderr } = await toyCommand().run("doctor", "--quick");
    expect(stdout).toMatch(/Healthy\.\n$/);
    expect(code).toBe(0);
    for (const text of [
      process.version.slice(1),
      "onnxruntime-node 1.",
      "cpu (used)",
      "webgpu",
      "cuda",
      "stored losses",
      "same bits",
    ]) {
      expect(stdout).toContain(text);
    }
    expect(stdout).toMatch(/Matrix product, 1 thread +\d+ GFLOP\/s/);
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
    expect(stderr).toMatch(/^Testing: devices …\nTesting: training, twice …\n/);
  });

  it("gives the same as JSON, and nothing else", { timeout: DOCTOR_MS }, async () => {
    const { code, stdout, stderr } = await toyCommand().run("doctor", "--quick", "--json");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ healthy: true, problems: [], device: "cpu" });
    expect(report.machine.node).toBe(process.version);
    expect(report.devices.map(({ device }: { device: string }) => device)).toEqual(["cpu", "webgpu", "cuda"]);
    const found = new Map(report.selfTest.map((finding: { id: string }) => [finding.id, finding]));
    expect(found.get("training")).toMatchObject({ ok: true });
    expect(found.get("repeatable")).toMatchObject({ ok: true });
    expect((found.get("matmul-1") as { value: number }).value).toBeGreaterThan(1);
  });

  it("refuses a device that it does not know", async () => {
    const { code, stderr } = await toyCommand().run("doctor", "--device", "gpu");
    expect(code).toBe(2);
    expect(stderr).toContain("unknown device 'gpu'; known: cpu, webgpu, cuda");
    vi.stubEnv("CONCORD_DEVICE", "gpu");
    expect((await toyCommand().run("doctor")).stderr).toContain("CONCORD_DEVICE: unknown device 'gpu'");
    vi.unstubAllEnvs();
  });
});

const missing = (await availableDevices()).find(({ available }) => !available);

it.skipIf(!missing)(
  "is not healthy where the wanted device cannot start",
  { timeout: DOCTOR_MS },
  async () => {
    const device = missing?.device ?? "";
    const { code, stdout } = await toyCommand().run("doctor", "--quick", "--device", device);
    expect(code).toBe(1);
    expect(stdout).toMatch(new RegExp(`✗ ${device} \\(used\\)`));
    expect(stdout).toContain("Not healthy:");
    expect(stdout).not.toContain("Self-test");
    const run = await toyCommand().run("run", "toy", "--device", device);
    expect(run.code).toBe(2);
    expect(run.stderr).toMatch(new RegExp(`^Error: device '${device}' cannot start: `));
  },
);

/** A runtime whose results are off by a small factor, a different one in every session. */
async function inexactRuntime(): Promise<Runtime> {
  const right = await openRuntime({ device: "cpu" });
  let sessions = 0;
  return {
    ...right,
    async load(model, options) {
      const session = await right.load(model, options);
      const factor = 1 + 0.001 * ++sessions;
      return {
        async run(feeds, fetches) {
          await session.run(feeds, fetches);
          for (const { dtype, data } of Object.values(fetches)) {
            if (dtype !== "float32") continue;
            const values = data as Float32Array;
            values.set(values.map((value) => value * factor));
          }
        },
        release: () => session.release(),
      };
    },
  };
}

it("notices wrong results, and results that change", async () => {
  const findings = await selfTest(await inexactRuntime(), { secondsEach: 0.01, threads: 1 });
  const outcome = Object.fromEntries(findings.map(({ id, ok }) => [id, ok]));
  expect(outcome).toEqual({ training: false, repeatable: false, "matmul-1": null, memory: null });
});
