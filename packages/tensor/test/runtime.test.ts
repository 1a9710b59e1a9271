import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Device, Tensor } from "../src/index.ts";
import {
  add,
  availableDevices,
  compile,
  createTrainer,
  DEVICES,
  DeviceError,
  matmul,
  ndarray,
  ones,
  openRuntime,
  setDefaultRuntime,
} from "../src/index.ts";
import { defaultDevice, runtimeVersion } from "../src/runtime/environment.ts";
import { open } from "../src/runtime/file-system-web.ts";
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

describe("devices", () => {
  test("the default is the CPU, CONCORD_DEVICE chooses another", async () => {
    vi.stubEnv("CONCORD_DEVICE", "");
    expect(await openRuntime()).toBe(runtime);
    expect(defaultDevice()).toBe("cpu");
    vi.stubEnv("CONCORD_DEVICE", "gpu");
    await expect(openRuntime()).rejects.toThrow(
      "CONCORD_DEVICE: unknown device 'gpu'; known: cpu, webgpu, cuda",
    );
    expect(await openRuntime({ device: "cpu" })).toBe(runtime);
    await expect(openRuntime({ device: "tpu" as Device })).rejects.toThrow("device: unknown device 'tpu'");
  });

  test("each one starts, or says why not and what to do; none stands in for another", async () => {
    const statuses = await availableDevices();
    expect(statuses.map(({ device }) => device)).toEqual(DEVICES);
    expect(statuses[0]).toEqual({ device: "cpu", available: true });
    for (const status of statuses) {
      const { device } = status;
      if (status.available) {
        expect((await openRuntime({ device })).description).toMatch(new RegExp(`${device}$`));
        continue;
      }
      expect(status.reason).not.toMatch(/\n|\/onnxruntime_src/);
      const opening = openRuntime({ device });
      await expect(opening).rejects.toThrow(DeviceError);
      await expect(opening).rejects.toThrow(
        `device '${device}' cannot start: ${status.reason}. ${status.advice}`,
      );
      vi.stubEnv("CONCORD_DEVICE", device);
      await expect(compile((x: Tensor) => add(x, 1))(ndarray([1]))).rejects.toThrow(
        `device '${device}' cannot start`,
      );
    }
  });

  test("graphs that name no runtime run on the default one", async () => {
    const loads: number[] = [];
    const counted = {
      ...runtime,
      load: (...args: Parameters<typeof runtime.load>) => {
        loads.push(args[0].length);
        return runtime.load(...args);
      },
    };
    expect(setDefaultRuntime(counted)).toBeUndefined();
    try {
      await compile((x: Tensor) => add(x, 1))(ndarray([1]));
      await compile((x: Tensor) => add(x, 2), { runtime })(ndarray([1]));
      expect(loads).toHaveLength(1);
    } finally {
      expect(setDefaultRuntime(undefined)).toBe(counted);
    }
  });

  test("the version is known without loading the library", () => {
    expect(runtime.description).toBe(`${runtimeVersion()} cpu`);
  });
});

test("a browser has no files to open", () => {
  expect(open).toThrow("a browser opens no file by its path");
});
