// Runs in a Web Worker, so that the page stays responsive. Two small networks see the same 48 things in two ways
// (as an "image" of 32 numbers and a "text" of 24) and learn by InfoNCE to put both views at the same place of a circle.
import { infoNCE } from "@concord/align";
import { mlp, mlpInit } from "@concord/nn";
import {
  adamw,
  compile,
  type Device,
  foldIn,
  l2Normalize,
  minimise,
  type NDArray,
  ndarray,
  normalArray,
  openRuntime,
  randomKey,
  setDefaultRuntime,
  type Tensor,
  type Traced,
  uniformArray,
} from "@concord/tensor";

const PAIRS = 48;
const STEPS = 400;
const STEPS_A_FRAME = 2;

export interface Start {
  readonly device: Device;
}

export type News =
  | { readonly kind: "started"; readonly runtime: string; readonly hues: readonly number[] }
  | {
      readonly kind: "step";
      readonly step: number;
      readonly steps: number;
      readonly loss: number;
      /** x and y of every image, then of every text, on the unit circle. */
      readonly points: Float32Array;
    }
  | { readonly kind: "done"; readonly seconds: number }
  | { readonly kind: "failed"; readonly message: string };

const key = randomKey(5);
const angles = uniformArray(foldIn(key, 0), [PAIRS], 0, 2 * Math.PI).data;

/** What one kind of sensor sees of the angles: a few of their waves, mixed and noisy. */
function view(sensor: number, features: number): NDArray {
  const mixing = normalArray(foldIn(key, sensor), [4, features]).data;
  const noise = normalArray(foldIn(key, sensor + 100), [PAIRS, features], 0, 0.05).data;
  return ndarray(
    Array.from(angles, (angle, row) => {
      const waves = [Math.cos(angle), Math.sin(angle), Math.cos(2 * angle), Math.sin(2 * angle)];
      return Array.from({ length: features }, (_, column) =>
        waves.reduce(
          (sum, wave, k) => sum + wave * (mixing[k * features + column] as number),
          noise[row * features + column] as number,
        ),
      );
    }),
  );
}

const pairs = { image: view(1, 32), text: view(2, 24) };
const params = { image: mlpInit(foldIn(key, 3), [32, 64, 2]), text: mlpInit(foldIn(key, 4), [24, 64, 2]) };

interface Batch {
  readonly image: Tensor;
  readonly text: Tensor;
}

async function train(device: Device, tell: (news: News) => void): Promise<void> {
  // ONNX Runtime's files lie beside this script.
  const runtime = await openRuntime({ device, assets: new URL("./", import.meta.url).href });
  setDefaultRuntime(runtime);
  tell({
    kind: "started",
    runtime: runtime.description,
    hues: Array.from(angles, (angle) => (angle * 180) / Math.PI),
  });

  const trainer = minimise({
    params,
    optimiser: adamw({ learningRate: 5e-4 }),
    loss: (p, { image, text }: Batch) =>
      infoNCE(l2Normalize(mlp(p.image, image)), l2Normalize(mlp(p.text, text)), { temperature: 0.1 }),
  });
  const embed = compile((p: Traced<typeof params>, { image, text }: Batch) => ({
    image: l2Normalize(mlp(p.image, image)),
    text: l2Normalize(mlp(p.text, text)),
  }));

  const began = performance.now();
  for (let step = 1; step <= STEPS; step++) {
    const { loss } = await trainer.step(pairs);
    if (step > 1 && step % STEPS_A_FRAME !== 0) continue;
    const { image, text } = await embed(trainer.state().params, pairs);
    const points = Float32Array.from([...image.data, ...text.data] as number[]);
    tell({ kind: "step", step, steps: STEPS, loss, points });
  }
  tell({ kind: "done", seconds: (performance.now() - began) / 1000 });
}

const scope = globalThis as unknown as {
  onmessage: ((event: { readonly data: Start }) => void) | null;
  postMessage(news: News): void;
};
scope.onmessage = ({ data }) => {
  train(data.device, (news) => scope.postMessage(news)).catch((error: unknown) =>
    scope.postMessage({ kind: "failed", message: error instanceof Error ? error.message : String(error) }),
  );
};
