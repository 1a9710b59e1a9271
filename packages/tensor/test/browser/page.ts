// What the test's page and its worker offer to the test.
import {
  availableDevices,
  type Device,
  DeviceError,
  openRuntime,
  setDefaultRuntime,
} from "../../src/index.ts";
import { type TrainingName, trainings } from "./trainings.ts";

/** A question to the page or to a worker, which answers the same. */
export type Request =
  | {
      readonly kind: "train";
      readonly training: TrainingName;
      readonly device: Device;
      readonly threads?: number | undefined;
    }
  | { readonly kind: "devices" };

export interface TrainingReply {
  readonly description: string;
  readonly losses: readonly number[];
  readonly seconds: number;
}

export async function answer(request: Request): Promise<unknown> {
  try {
    if (request.kind === "devices") return { ok: await availableDevices() };
    const { training, device, threads } = request;
    const runtime = await openRuntime({ device, threads, assets: new URL("./", import.meta.url).href });
    setDefaultRuntime(runtime);
    const started = performance.now();
    const losses = await trainings[training](undefined);
    const reply: TrainingReply = {
      description: runtime.description,
      losses,
      seconds: (performance.now() - started) / 1000,
    };
    return { ok: reply };
  } catch (error) {
    return { error: String(error), device: error instanceof DeviceError ? error.device : null };
  }
}

Object.assign(globalThis, { answer });
