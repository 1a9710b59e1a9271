import type { Key, NDArray, Traced } from "@concord/tensor";
import {
  add,
  dropout,
  evaluate,
  foldIn,
  isFloat,
  isNDArray,
  matmul,
  mul,
  normalArray,
  type Tensor,
  treeEntries,
  treeMap,
  zerosArray,
} from "@concord/tensor";

/** A change of a weight matrix of low rank: the matrix plus scale · down · up. */
export interface LoraPair {
  /** [inputs, rank] */
  readonly down: NDArray;
  /** [rank, outputs]; zeros at the start, so that nothing changes at first */
  readonly up: NDArray;
}

/** Pairs by the names of the weights that they change. */
export type LoraParams = Readonly<Record<string, LoraPair>>;

/** A weight matrix that an adapter can change. */
export interface LoraTarget {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
}

export interface LoraOptions {
  /** Columns of `down` and rows of `up`. */
  readonly rank: number;
  /** The change is multiplied by alpha / rank. Default: the rank, which gives the factor 1. */
  readonly alpha?: number;
  /** Which weights are adapted, by name; all when left out. */
  readonly match?: RegExp | ((name: string) => boolean);
}

/** The factor alpha / rank on the product of a pair. */
export function loraScale({ rank, alpha = rank }: Pick<LoraOptions, "rank" | "alpha">): number {
  return alpha / rank;
}

function matches(match: LoraOptions["match"], name: string): boolean {
  if (match === undefined) return true;
  // A global pattern would remember where it stopped.
  return typeof match === "function" ? match(name) : new RegExp(match.source, match.flags).test(name);
}

/** The matrices [inputs, outputs] in a tree of parameters, by their paths. */
export function loraTargets(params: unknown): LoraTarget[] {
  return treeEntries(params).flatMap(([name, leaf]) => {
    if (!isNDArray(leaf) || leaf.shape.length !== 2 || !isFloat(leaf.dtype)) return [];
    const [inputs, outputs] = leaf.shape as [number, number];
    return [{ name, inputs, outputs }];
  });
}

/**
 * Adapters for weight matrices: `down` normal with deviation 1 / √inputs, `up` zero.
 *
 * @throws RangeError when the rank is no positive integer, or above a matrix's own, or when nothing matches
 * @source Hu et al. 2022, LoRA, section 4.1
 */
export function loraInit(key: Key, targets: readonly LoraTarget[], options: LoraOptions): LoraParams {
  const { rank, match } = options;
  if (!Number.isInteger(rank) || rank < 1)
    throw new RangeError(`lora: rank must be an integer >= 1, got ${rank}`);
  const chosen = targets.filter(({ name }) => matches(match, name));
  if (chosen.length === 0)
    throw new RangeError(
      `lora: none of ${targets.length} matrices matches ${String(match ?? "")}; they are ${targets
        .slice(0, 10)
        .map(({ name }) => `'${name}'`)
        .join(", ")}${targets.length > 10 ? ", …" : ""}`,
    );
  const pairs = chosen.map(({ name, inputs, outputs }, i): [string, LoraPair] => {
    if (rank > Math.min(inputs, outputs))
      throw new RangeError(`lora: rank ${rank} is above that of '${name}' [${inputs}, ${outputs}]`);
    const down = normalArray(foldIn(key, i), [inputs, rank], 0, 1 / Math.sqrt(inputs));
    return [name, { down, up: zerosArray([rank, outputs]) }];
  });
  return Object.fromEntries(pairs);
}

/** scale · down · up: [inputs, outputs] */
export function loraChange(pair: Traced<LoraPair>, scale: number): Tensor {
  return matmul(pair.down, pair.up, { scale });
}

export interface LoraProductOptions {
  readonly scale: number;
  /** Whether the weight is stored as [outputs, inputs]. Default false. */
  readonly transposed?: boolean;
  /** Share of the inputs of `down` that is dropped in training, with the key that decides which. */
  readonly dropout?: { readonly key: Tensor; readonly rate: number };
}

/**
 * x · weight + scale · (x · down) · up, without ever making the changed matrix: the gradient of the weight, which is
 * as large as the weight, is not computed.
 *
 * @param x       [..., inputs]
 * @param weight  [inputs, outputs], or [outputs, inputs] if transposed
 */
export function loraProduct(
  x: Tensor,
  weight: Tensor,
  pair: Traced<LoraPair>,
  options: LoraProductOptions,
): Tensor {
  const { scale, transposed = false, dropout: drop } = options;
  const dropped = drop ? dropout(drop.key, x, drop.rate) : x;
  const change = matmul(matmul(dropped, pair.down), pair.up, { scale });
  return add(matmul(x, weight, { transposeB: transposed }), change);
}

/**
 * A tree of parameters with the adapters' changes added to the matrices at their paths, for layers that take their
 * weights as they are. Gradients flow to the adapters.
 *
 *   const y = visionTransformer(withLora(constants, adapters, { rank: 4, alpha: 8 }), images, options);
 *
 * @throws RangeError when an adapter has no matrix
 */
export function withLora<P>(
  params: P,
  adapters: Traced<LoraParams>,
  options: Pick<LoraOptions, "rank" | "alpha">,
): P {
  const left = new Set(Object.keys(adapters));
  const changed = treeMap(params, (leaf, path) => {
    const pair = adapters[path];
    if (!pair) return leaf;
    left.delete(path);
    return add(leaf as Tensor, loraChange(pair, loraScale(options)));
  }) as P;
  if (left.size > 0)
    throw new RangeError(`lora: the parameters have no ${[...left].map((name) => `'${name}'`).join(", ")}`);
  return changed;
}

/** The weights with the adapters' changes added for good, as plain arrays; what is not adapted stays the same array. */
export async function mergeLora<P>(
  params: P,
  adapters: LoraParams,
  options: Pick<LoraOptions, "rank" | "alpha"> & { readonly transposed?: (name: string) => boolean },
): Promise<P> {
  const leaves = new Map(treeEntries(params) as [string, NDArray][]);
  const changes = Object.entries(adapters).map(([name, pair]): [string, Tensor] => {
    const weight = leaves.get(name);
    if (!weight) throw new RangeError(`lora: the parameters have no '${name}'`);
    const [left, right] = [pair.down, pair.up];
    const change = options.transposed?.(name)
      ? matmul(right, left, { transposeA: true, transposeB: true })
      : matmul(left, right);
    return [name, add(weight, mul(change, loraScale(options)))];
  });
  const merged = await evaluate(Object.fromEntries(changes));
  return treeMap(params, (leaf, path) => merged[path] ?? leaf) as P;
}
