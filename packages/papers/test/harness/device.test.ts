import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { availableDevices, DeviceError, type Runtime, setDefaultRuntime } from "@concord/tensor";
import { afterEach, beforeEach, expect, it } from "vitest";
import { onDevice } from "../../src/harness/device.ts";
import { createRun, executeRun, RunRequestError, RunStore } from "../../src/index.ts";
import { toyExperiment } from "./toy-experiment.ts";

let folder: string;
let store: RunStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "concord-device-"));
  store = new RunStore(folder);
});
afterEach(() => rm(folder, { recursive: true }));

it("records the runtime, its version and the device", async () => {
  const { id, device } = await createRun(toyExperiment(), store, { preset: "smoke", device: "cpu" });
  expect(device).toBe("cpu");
  const record = await executeRun(toyExperiment(), store, id);
  expect(record).toMatchObject({ status: "done", device: "cpu" });
  expect(record.environment).toMatchObject({
    runtime: expect.stringMatching(/^onnxruntime-node \d+\.\d+\.\d+$/),
    device: "cpu",
  });
});

it("refuses a device that does not exist before there is a run", async () => {
  const request = createRun(toyExperiment(), store, { device: "gpu" });
  await expect(request).rejects.toThrow(RunRequestError);
  await expect(request).rejects.toThrow("unknown device 'gpu'; known: cpu, webgpu, cuda");
  expect(await readdir(folder)).toEqual([]);
});

const missing = (await availableDevices()).find(({ available }) => !available);

it.skipIf(!missing)(
  "refuses a device that cannot start, with the reason; takes no other in its place",
  async () => {
    const device = missing?.device ?? "";
    await expect(createRun(toyExperiment(), store, { device })).rejects.toThrow(
      new RegExp(`^device '${device}' cannot start: .+\\. .*on the CPU\\.$`),
    );
    const { id } = await createRun(toyExperiment(), store, { preset: "smoke" });
    await store.write({ ...(await store.read(id)), device });
    const record = await executeRun(toyExperiment(), store, id);
    expect(record.status).toBe("failed");
    expect(record.error).toContain(`device '${device}' cannot start`);
    expect(record.results).toEqual([]);
  },
);

it("leaves the default runtime as it was", async () => {
  const mine = { description: "mine" } as Runtime;
  setDefaultRuntime(mine);
  await onDevice("cpu", async () => {
    const during = setDefaultRuntime(undefined);
    expect(during?.description).toMatch(/cpu$/);
  });
  await expect(onDevice("cpu", () => Promise.reject(new Error("halt")))).rejects.toThrow("halt");
  await expect(onDevice(missing?.device ?? "gpu", async () => {})).rejects.toThrow(
    missing ? DeviceError : RangeError,
  );
  expect(setDefaultRuntime(undefined)).toBe(mine);
});
