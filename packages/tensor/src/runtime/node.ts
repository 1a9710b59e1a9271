import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import * as ort from "onnxruntime-node";
import { blockedKernels } from "./blocked-kernels.ts";
import { DEVICES, type Device, DeviceError, parseDevice } from "./device.ts";
import { defaultDevice } from "./environment.ts";
import { describeRuntime, loadSession, openSession } from "./node-session.ts";
import type { DeviceStatus, Runtime, RuntimeOptions } from "./runtime.ts";
import { tryRuntime } from "./trial.ts";

const loadOnCpu: Runtime["load"] = (model, options) => loadSession("cpu", model, options);

/**
 * ONNX Runtime's native library on the CPU. `run` blocks the calling thread for the duration of the graph, so
 * trainings belong into a process or worker of their own.
 */
export const runtime: Runtime = {
  description: describeRuntime("cpu"),
  target: { contribOps: true, blockedConv: await blockedKernels(loadOnCpu) },
  load: loadOnCpu,
  open: (model, options) => openSession("cpu", model, options),
};

/** A graph for a device that hands operators which it lacks to the CPU and back, so fused ones cost more than they save. */
function acceleratorRuntime(device: "webgpu" | "cuda"): Runtime {
  return {
    description: describeRuntime(device),
    target: { contribOps: false },
    load: (model, options) => loadSession(device, model, options),
    open: (model, options) => openSession(device, model, options),
  };
}

const otherwise = "Leave --device (or CONCORD_DEVICE) out to compute on the CPU.";
const cudaAdvice =
  "CUDA needs an NVIDIA GPU with its driver, CUDA 12 and cuDNN 9, and files that " +
  "`node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12` downloads (Linux on x64).";
const webgpuAdvice =
  process.platform === "linux"
    ? "WebGPU needs Vulkan: a GPU with its driver and libvulkan.so.1 (Debian: libvulkan1, mesa-vulkan-drivers)."
    : "WebGPU needs a GPU with a recent driver.";

/** What keeps a device from starting, as far as that shows without trying. */
function knownObstacle(device: Device): DeviceError | undefined {
  const here = `${process.platform}-${process.arch}`;
  const backend = ort.listSupportedBackends().find(({ name }) => name === device);
  if (!backend) {
    return new DeviceError(device, `ONNX Runtime for Node has no ${device} on ${here}`, otherwise);
  }
  if (device !== "cuda") return undefined;
  const package_ = dirname(dirname(createRequire(import.meta.url).resolve("onnxruntime-node")));
  const library = join(
    package_,
    "bin/napi-v6",
    process.platform,
    process.arch,
    "libonnxruntime_providers_cuda.so",
  );
  if (existsSync(library)) return undefined;
  return new DeviceError(
    device,
    "libonnxruntime_providers_cuda.so is not installed",
    `${cudaAdvice} ${otherwise}`,
  );
}

/** The end of ONNX Runtime's messages says why; before it come the place in its sources and the condition. */
function shortReason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const last = message
    .trim()
    .split("\n")[0]
    ?.split(/ was false\. |\] : \d+ : \w+ : /)
    .at(-1);
  return (last ?? message).replace(/\.$/, "");
}

const opened = new Map<Device, Runtime>();

/** See `openRuntime` in default.ts. */
export async function openRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  const wanted = options.device ?? defaultDevice();
  const device = parseDevice(wanted, "device");
  if (device === "cpu") return runtime;
  const known = opened.get(device);
  if (known) return known;
  const obstacle = knownObstacle(device);
  if (obstacle) throw obstacle;
  const candidate = acceleratorRuntime(device);
  try {
    await tryRuntime(candidate);
  } catch (error) {
    const advice = `${device === "cuda" ? cudaAdvice : webgpuAdvice} ${otherwise}`;
    throw new DeviceError(device, shortReason(error), advice, { cause: error });
  }
  opened.set(device, candidate);
  return candidate;
}

/** See `availableDevices` in default.ts. */
export async function availableDevices(): Promise<readonly DeviceStatus[]> {
  const statuses: DeviceStatus[] = [];
  for (const device of DEVICES) {
    try {
      await openRuntime({ device });
      statuses.push({ device, available: true });
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      statuses.push({ device, available: false, reason: error.reason, advice: error.advice });
    }
  }
  return statuses;
}
