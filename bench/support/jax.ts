import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { numpy } from "@jax-js/jax";
import { type Engine, engineArguments, serve } from "../engine-process.ts";
import type { SizeName } from "../workload.ts";
import { below, readState, type StoredArray, type StoredState } from "./state-file.ts";
import { WebWorker } from "./web-worker.ts";

const { stateFile, threads, size } = engineArguments();
// jax-js decides at import how many threads it has: all of `navigator.hardwareConcurrency`, if there is a Worker.
Object.assign(globalThis, { Worker: WebWorker });
Object.defineProperty(navigator, "hardwareConcurrency", { value: threads });
const jax = await import("@jax-js/jax");
const { init, jit, numpy: np, tree, valueAndGrad } = jax;

export { jax };

/** Arrays by path. jax-js counts references: a function consumes its arguments, and `.ref` keeps one for later use. */
export type Arrays = Record<string, numpy.Array>;

/** The loss, and the running statistics after it. */
export interface LossAndStatistics {
  readonly value: numpy.Array;
  readonly statistics: Arrays;
}

export type Optimiser =
  | { readonly kind: "adam"; readonly learningRate: number }
  | { readonly kind: "momentum"; readonly learningRate: number; readonly momentum: number };

interface State {
  readonly params: Arrays;
  readonly statistics: Arrays;
  readonly slots: Slots;
}

interface Slots {
  readonly first: Arrays;
  readonly second: Arrays;
  readonly count: numpy.Array;
}

const [beta1, beta2, epsilon] = [0.9, 0.999, 1e-8];

function adam(params: Arrays, gradients: Arrays, slots: Slots, learningRate: number) {
  const count = slots.count.add(1);
  const correction1 = np.subtract(1, np.power(beta1, count.ref));
  const correction2 = np.subtract(1, np.power(beta2, count.ref));
  const next: { params: Arrays; first: Arrays; second: Arrays } = { params: {}, first: {}, second: {} };
  for (const name of Object.keys(params)) {
    const g = gradients[name]!;
    const m = slots.first[name]!.mul(beta1).add(g.ref.mul(1 - beta1));
    const v = slots.second[name]!.mul(beta2).add(np.square(g).mul(1 - beta2));
    next.first[name] = m.ref;
    next.second[name] = v.ref;
    const denominator = np.sqrt(v.div(correction2.ref)).add(epsilon);
    next.params[name] = params[name]!.sub(m.div(correction1.ref).div(denominator).mul(learningRate));
  }
  correction1.dispose();
  correction2.dispose();
  return { params: next.params, slots: { first: next.first, second: next.second, count } };
}

function withMomentum(
  params: Arrays,
  gradients: Arrays,
  slots: Slots,
  { learningRate, momentum }: { readonly learningRate: number; readonly momentum: number },
) {
  const next: { params: Arrays; first: Arrays } = { params: {}, first: {} };
  for (const name of Object.keys(params)) {
    const velocity = slots.first[name]!.mul(momentum).add(gradients[name]!);
    next.first[name] = velocity.ref;
    next.params[name] = params[name]!.sub(velocity.mul(learningRate));
  }
  return { params: next.params, slots: { ...slots, first: next.first } };
}

function load({ data, shape }: StoredArray): numpy.Array {
  return np.array(data).reshape(shape);
}

function loadAll(arrays: ReadonlyMap<string, StoredArray>): Arrays {
  return Object.fromEntries([...arrays].map(([name, array]) => [name, load(array)]));
}

/** The batch: everything that is neither parameter nor statistic. Images, [B, C, ...], get their channels last. */
function loadData(stored: StoredState): Arrays {
  const data: Arrays = {};
  for (const [path, array] of stored) {
    if (path.startsWith("params/") || path.startsWith("statistics/")) continue;
    const loaded = load(array);
    const space = array.shape.slice(2).map((_, i) => i + 2);
    data[path] = array.shape.length < 4 ? loaded : loaded.transpose([0, ...space, 1]);
  }
  return data;
}

/** Part i of the batch: every array is cut along its first axis. */
function partOf(data: Arrays, i: number, parts: number): Arrays {
  return Object.fromEntries(
    Object.entries(data).map(([path, array]) => {
      const length = (array.shape[0] as number) / parts;
      return [path, array.ref.slice([i * length, (i + 1) * length])];
    }),
  );
}

/**
 * Serves a step of jax-js: value, gradients and the update of the optimiser as one compiled function.
 *
 * @param build  makes the loss of parameters, running statistics and batch, each by path. `before` changes parameters
 * ahead of it, inside the step. With `parts` the gradient is the mean over so many parts of the batch, one after
 * another, for models without running statistics that do not fit into WebAssembly's memory otherwise
 */
export async function serveJax(
  build: (size: SizeName) => {
    readonly optimiser: Optimiser;
    readonly loss: (params: Arrays, statistics: Arrays, data: Arrays) => LossAndStatistics;
    readonly before?: (params: Arrays) => Arrays;
    readonly parts?: number;
  },
): Promise<void> {
  await init("wasm");
  await serve((): Engine => {
    const { optimiser, loss, before = (params) => params, parts = 1 } = build(size);
    const both = valueAndGrad(
      (params: Arrays, statistics: Arrays, data: Arrays) => {
        const result = loss(params, statistics, data);
        return [result.value, result.statistics] as const;
      },
      { hasAux: true },
    ) as unknown as (...args: Arrays[]) => [[numpy.Array, Arrays], Arrays];
    const update = (params: Arrays, gradients: Arrays, slots: Slots) =>
      optimiser.kind === "adam"
        ? adam(params, gradients, slots, optimiser.learningRate)
        : withMomentum(params, gradients, slots, optimiser);
    const whole = jit((state: State, data: Arrays) => {
      const params = before(state.params);
      const [[value, statistics], gradients] = both(tree.ref(params) as Arrays, state.statistics, data);
      return { ...update(params, gradients, state.slots), statistics, value };
    });
    const onePart = jit((params: Arrays, data: Arrays) => {
      const [[value], gradients] = both(params, {}, data);
      return { value, gradients };
    });
    const updateByMean = jit((state: State, gradients: Arrays[]) => {
      const mean: Arrays = {};
      for (const name of Object.keys(state.params))
        mean[name] = gradients
          .map((part) => part[name]!)
          .reduce((a, b) => a.add(b))
          .mul(1 / parts);
      return { ...update(state.params, mean, state.slots), statistics: state.statistics };
    });

    const stored = readState(stateFile);
    const initial = below(stored, "params");
    const zeros = (): Arrays =>
      Object.fromEntries([...initial].map(([name, { shape }]) => [name, np.zeros(shape)]));
    const slots: Slots = {
      first: zeros(),
      second: optimiser.kind === "adam" ? zeros() : {},
      count: np.array(0),
    };
    let state: State = {
      params: loadAll(initial),
      statistics: loadAll(below(stored, "statistics")),
      slots,
    };
    const data = loadData(stored);
    const parted = Array.from({ length: parts }, (_, i) => partOf(data, i, parts));
    const manifest = createRequire(import.meta.url)
      .resolve("@jax-js/jax")
      .replace(/dist.*/, "package.json");
    const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
    return {
      name: `jax-js ${version} wasm`,
      async step() {
        if (parts === 1) {
          const { value, ...next } = whole(state, tree.ref(data) as Arrays);
          state = next;
          const [number] = await value.data();
          return number as number;
        }
        const gradients: Arrays[] = [];
        let total = 0;
        for (const part of parted) {
          const result = onePart(tree.ref(state.params) as Arrays, tree.ref(part) as Arrays);
          gradients.push(result.gradients);
          // Reading the value runs the part, which frees its memory.
          const [number] = await result.value.data();
          total += number as number;
        }
        state = updateByMean(state, gradients);
        return total / parts;
      },
      // Its workers would keep the process alive.
      close: async () => process.exit(),
    };
  });
}

/** x W + b: [..., D] to [..., E]. */
export function linear(p: Arrays, name: string, x: numpy.Array): numpy.Array {
  const result = np.matmul(x, p[`${name}/weight`]!);
  const bias = p[`${name}/bias`];
  return bias ? result.add(bias) : result;
}
