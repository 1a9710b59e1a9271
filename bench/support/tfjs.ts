import { getThreadsCount, setThreadsCount } from "@tensorflow/tfjs-backend-wasm";
import * as tf from "@tensorflow/tfjs-core";
import { type Engine, engineArguments, serve } from "../engine-process.ts";
import type { SizeName } from "../workload.ts";
import { arrayAt, below, readState, type StoredArray, type StoredState } from "./state-file.ts";
import { registerGradients } from "./tfjs-gradients.ts";

/** A differentiable function of tensors with its gradient, which gets the gradient of the value and the tensors. */
export function withGradient(
  value: (...inputs: tf.Tensor[]) => tf.Tensor,
  gradient: (dy: tf.Tensor, inputs: tf.Tensor[]) => tf.Tensor | tf.Tensor[],
): (...inputs: tf.Tensor[]) => tf.Tensor {
  return tf.customGrad((...args) => {
    const save = args.at(-1) as (tensors: tf.Tensor[]) => void;
    const inputs = args.slice(0, -1) as tf.Tensor[];
    save(inputs);
    return { value: value(...inputs), gradFunc: gradient };
  });
}

/** [N, D] to [D], as a matrix product: the backend's own sum over rows takes about twenty times as long. */
export function sumRows(x: tf.Tensor): tf.Tensor {
  return tf.reshape(tf.matMul(tf.ones([1, x.shape[0] as number]), x), [-1]);
}

// The backend calls XNNPACK only for a product without transposed operands and is about ten times slower otherwise.
// The gradient that TensorFlow.js has for matMul uses such products; this one transposes explicitly.
const product = withGradient(
  (x, weight, bias) =>
    tf.fused.matMul({ a: x as tf.Tensor2D, b: weight as tf.Tensor2D, ...(bias ? { bias } : {}) }),
  (dy, [x, weight, bias]) => {
    const dx = tf.matMul(dy, tf.transpose(weight as tf.Tensor));
    const dWeight = tf.matMul(tf.transpose(x as tf.Tensor), dy);
    return bias ? [dx, dWeight, sumRows(dy)] : [dx, dWeight];
  },
);

/** x W + b: [N, D] to [N, E]. */
export function affine(x: tf.Tensor, weight: tf.Tensor, bias?: tf.Tensor): tf.Tensor {
  return bias ? product(x, weight, bias) : product(x, weight);
}

/** Rows of a table at fixed ids: [V, D] to [N, D]. */
export function lookUp(ids: tf.Tensor1D): (table: tf.Tensor) => tf.Tensor {
  // The backend lacks UnsortedSegmentSum, which the gradient of gather needs; scatterND adds up duplicates too.
  return withGradient(
    (table) => tf.gather(table as tf.Tensor, ids),
    (dy, [table]) => tf.scatterND(tf.expandDims(ids, 1), dy, (table as tf.Tensor).shape as [number, number]),
  );
}

/** The arrays of the state file as the steps use them. */
export class TfState {
  /** Trainable. */
  readonly params: ReadonlyMap<string, tf.Variable>;
  readonly #stored: StoredState;

  constructor(stored: StoredState) {
    this.#stored = stored;
    this.params = new Map(
      [...below(stored, "params")].map(([path, array]) => [path, tf.variable(toTensor(array), true, path)]),
    );
  }

  /**
   * The parameter at a path.
   *
   * @throws Error when there is none
   */
  param(path: string): tf.Variable {
    const variable = this.params.get(path);
    if (!variable) throw new Error(`no parameter '${path}'`);
    return variable;
  }

  /** Running statistics and the like, which a step assigns itself. */
  variable(path: string): tf.Variable {
    return tf.variable(toTensor(arrayAt(this.#stored, path)), false);
  }

  /** An array of the batch. Images and volumes, [B, C, ...], get their channels last. */
  data(path: string): tf.Tensor {
    const array = arrayAt(this.#stored, path);
    const loaded = tf.tensor(array.data, array.shape, array.data instanceof Int32Array ? "int32" : "float32");
    if (loaded.rank < 4) return loaded;
    return channelsLast(loaded, [0, ...axesOfSpace(loaded), 1]);
  }
}

function axesOfSpace(x: tf.Tensor): number[] {
  return x.shape.slice(2).map((_, i) => i + 2);
}

function channelsLast(x: tf.Tensor, order: number[]): tf.Tensor {
  const moved = tf.transpose(x, order);
  x.dispose();
  return moved;
}

/** Kernels of convolutions, [O, C, ...k], become [...k, C, O], the layout of TensorFlow.js; vectors and matrices stay. */
function toTensor({ data, shape }: StoredArray): tf.Tensor {
  const loaded = tf.tensor(data, shape);
  return shape.length < 4 ? loaded : channelsLast(loaded, [...axesOfSpace(loaded), 1, 0]);
}

/**
 * Serves a step of TensorFlow.js: its own optimiser on its own gradients.
 *
 * @param build  picks the batch from the state and makes the function whose value is the loss
 */
export async function serveTfjs(
  build: (
    state: TfState,
    size: SizeName,
  ) => {
    readonly loss: () => tf.Scalar;
    readonly optimiser: tf.Optimizer;
    /** Runs before each step. */
    readonly before?: () => void;
  },
): Promise<void> {
  const { stateFile, threads, size } = engineArguments();
  setThreadsCount(threads);
  if (!(await tf.setBackend("wasm")))
    throw new Error("TensorFlow.js could not start its WebAssembly backend");
  await registerGradients();
  await serve((): Engine => {
    const state = new TfState(readState(stateFile));
    const { loss, optimiser, before } = build(state, size);
    const variables = [...state.params.values()];
    return {
      name: `TensorFlow.js ${tf.version_core} wasm`,
      // One: in Node the backend switches its threads off.
      threads: getThreadsCount(),
      async step() {
        before?.();
        const value = optimiser.minimize(loss, true, variables);
        if (!value) throw new Error("TensorFlow.js returned no loss");
        const [number] = await value.data();
        value.dispose();
        return number as number;
      },
    };
  });
}
