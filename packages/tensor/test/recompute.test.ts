import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import type { NDArray, Tensor } from "../src/index.ts";
import {
  add,
  compile,
  dropout,
  foldInTensor,
  gelu,
  gradients,
  keyArray,
  layerNorm,
  matmul,
  mul,
  randomKey,
  recompute,
  relu,
  reshape,
  sin,
  square,
  stopGradient,
  sum,
  tanh,
  toNumbers,
  transpose,
} from "../src/index.ts";
import { randomArray, randomArrays } from "./support/arrays.ts";
import type { Differentiable } from "./support/gradient-check.ts";
import { gradientCheck, secondGradientCheck } from "./support/gradient-check.ts";
import { nodesOf } from "./support/graph-nodes.ts";
import { trackedRuntime } from "./support/tracked-runtime.ts";

const runtime = trackedRuntime();
afterAll(() => runtime.release());

type Wrap = <A extends readonly unknown[], R>(fn: (...args: A) => R) => (...args: A) => R;
const plainly: Wrap = (fn) => fn;

/** A network whose blocks are wrapped, as plain or as recomputed ones. */
type Network = (wrap: Wrap) => Differentiable;

const [B, D] = [3, 4];
const shapes = [[B, D], [D, D], [D, D], [D]];

const networks: Readonly<Record<string, Network>> = {
  "with parameters captured": (wrap) => (x, w, v, b) => {
    const block = wrap((a: Tensor) => add(a, tanh(matmul(tanh(add(matmul(a, w!), b!)), v!))));
    return block(block(block(x!)));
  },
  "with parameters passed in a tree": (wrap) => (x, w, v, b) => {
    const block = wrap((a: Tensor, p: { w: Tensor; b: readonly Tensor[] }) =>
      tanh(add(matmul(a, p.w), p.b[0]!)),
    );
    return block(block(x!, { w: w!, b: [b!] }), { w: v!, b: [b!] });
  },
  "with several results, of which some do not matter": (wrap) => (x, w, v) => {
    const block = wrap((a: Tensor) => {
      const hidden = tanh(matmul(a, w!));
      return { hidden, unused: square(hidden), both: [sin(hidden), a] as const };
    });
    const { hidden, both } = block(x!);
    return add(matmul(hidden, v!), mul(both[0], both[1]));
  },
  "with an activation captured": (wrap) => (x, w, v) => {
    const memory = tanh(matmul(x!, w!));
    const attend = wrap((query: Tensor) => mul(matmul(query, v!), sin(memory)));
    return attend(attend(memory));
  },
  nested: (wrap) => (x, w, v, b) => {
    const inner = wrap((a: Tensor) => tanh(add(matmul(a, w!), b!)));
    const outer = wrap((a: Tensor) => sin(matmul(inner(inner(a)), v!)));
    return outer(outer(x!));
  },
  "with a gradient inside": (wrap) => (x, w) => {
    const energy = (a: Tensor): Tensor => sum(square(tanh(matmul(a, w!))));
    const step = wrap((a: Tensor) => add(a, mul(gradients(energy(a), [a])[0]!, -0.1)));
    return step(step(x!));
  },
  "that reads its argument through shapes": (wrap) => (x, w) => {
    const outside = reshape(transpose(mul(x!, 2)), [D * B]);
    const block = wrap((a: Tensor) => mul(tanh(matmul(reshape(mul(a, 3), [B, D]), w!)), reshape(a, [B, D])));
    return block(outside);
  },
  "whose gradient is stopped in part": (wrap) => (x, w) => {
    const block = wrap((a: Tensor) => mul(stopGradient(tanh(a)), matmul(a, w!)));
    return block(block(x!));
  },
};

describe.each(Object.entries(networks))("recompute in a network %s", (name, network) => {
  test("has the same values and gradients", async () => {
    const both = (wrap: Wrap) =>
      compile(
        (inputs: readonly Tensor[]) => {
          const value = network(wrap)(...inputs) as Tensor;
          return { value, gradients: gradients(sum(square(value)), inputs) };
        },
        { runtime },
      );
    const inputs = randomArrays(4, shapes, { dtype: "float32", low: -1, high: 1 });
    const [found, wanted] = [await both(recompute)(inputs), await both(plainly)(inputs)];
    expect(toNumbers(found.value)).toEqual(toNumbers(wanted.value));
    found.gradients.forEach((gradient, i) => {
      for (const [k, value] of toNumbers(gradient).entries())
        expect(value).toBeCloseTo(Number(wanted.gradients[i]?.data[k]), 5);
    });
  });

  test("has the right first and second derivatives", async () => {
    const inputs = randomArrays(6, shapes, { low: -1, high: 1 });
    const stopped = name === "whose gradient is stopped in part";
    if (!stopped) await gradientCheck(network(recompute), inputs, { name });
    if (!stopped && name !== "with a gradient inside")
      await secondGradientCheck(network(recompute), inputs, { name, tolerance: 1e-5 });
  });
});

describe("recompute", () => {
  const model = (wrap: Wrap, x: Tensor, w: Tensor, gain: Tensor, bias: Tensor, key: Tensor): Tensor => {
    let value = x;
    for (let i = 0; i < 3; i++) {
      const block = wrap((a: Tensor, own: Tensor) =>
        add(a, dropout(own, gelu(matmul(layerNorm(a, gain, bias), w)), 0.4)),
      );
      value = block(value, foldInTensor(key, i));
    }
    return value;
  };
  const inputs = (): NDArray[] => [
    ...randomArrays(8, [[6, 5], [5, 5], [5], [5]], { dtype: "float32" }),
    keyArray(randomKey(3)),
  ];
  const differentiated =
    (wrap: Wrap) =>
    (x: Tensor, w: Tensor, gain: Tensor, bias: Tensor, key: Tensor): Tensor[] => {
      const value = model(wrap, x, w, gain, bias, key);
      return [value, ...gradients(sum(square(value)), [x, w, gain, bias])];
    };

  test("draws the same random numbers again", async () => {
    const [x, w, gain, bias, key] = inputs() as [NDArray, NDArray, NDArray, NDArray, NDArray];
    const found = await compile(differentiated(recompute), { runtime })(x, w, gain, bias, key);
    const wanted = await compile(differentiated(plainly), { runtime })(x, w, gain, bias, key);
    for (const [i, array] of found.entries())
      for (const [k, value] of toNumbers(array).entries())
        expect(value / Number(wanted[i]?.data[k])).toBeCloseTo(1, 3);
  });

  test("computes activations and random numbers twice, parameters once", async () => {
    const count = async (wrap: Wrap): Promise<(op: string) => number> => {
      const nodes = await nodesOf(
        (...all) => differentiated(wrap)(...(all as [Tensor, Tensor, Tensor, Tensor, Tensor])),
        inputs(),
      );
      return (op) => nodes.filter((node) => node === op).length;
    };
    const [kept, again] = [await count(plainly), await count(recompute)];
    // The forward pass runs GELU's own kernel, as it does not keep what the gradient needs.
    expect([kept("Gelu"), kept("Erf"), again("Gelu"), again("Erf")]).toEqual([0, 3, 3, 3]);
    expect(again("GreaterOrEqual")).toBe(2 * kept("GreaterOrEqual"));
    // One more product a layer, and as many transposed weights as before.
    expect(again("MatMul") + again("FusedMatMul")).toBe(kept("MatMul") + kept("FusedMatMul") + 3);
    expect(again("Transpose")).toBe(kept("Transpose"));
  });

  test("leaves a graph without gradients as it was", async () => {
    const wrapped = await nodesOf((x) => recompute((a: Tensor) => relu(sin(a)))(x), [randomArray(1, [3])]);
    expect(wrapped).toEqual(["Sin", "Relu"]);
  });

  test("infinities and NaNs stay what they are", async () => {
    const run = compile(
      (x: Tensor) => {
        const y = recompute((a: Tensor) => mul(a, sin(a)))(tanh(x));
        return gradients(sum(mul(y, x)), [x])[0]!;
      },
      { runtime },
    );
    const found = toNumbers(
      await run({
        dtype: "float32",
        shape: [4],
        data: Float32Array.of(Number.POSITIVE_INFINITY, Number.NaN, 1, 0),
      }),
    );
    expect(found[1]).toBeNaN();
    expect(Number.isFinite(found[2]) && Number.isFinite(found[3])).toBe(true);
  });

  test("trains a deep network with a fraction of the memory", async () => {
    const script = fileURLToPath(new URL("support/recompute-memory.ts", import.meta.url));
    const measure = async (how: string): Promise<{ megabytes: number; losses: number[] }> => {
      const flags = ["--conditions=source", "--disable-warning=ExperimentalWarning"];
      const { stdout } = await promisify(execFile)(process.execPath, [...flags, script, how]);
      return JSON.parse(stdout);
    };
    const [kept, recomputed] = [await measure("kept"), await measure("recomputed")];
    recomputed.losses.forEach((loss, i) => expect(loss).toBeCloseTo(kept.losses[i] as number, 5));
    // 24 layers of 2048 × 256 hidden units, each kept about four times: 200 MB, against the layers' inputs and two or
    // three whole layers.
    expect(recomputed.megabytes).toBeLessThan(kept.megabytes - 60);
  }, 120_000);

  test("says what it cannot recompute", () => {
    expect(() => recompute(() => 3)()).toThrow("recompute: the function must return tensors, got number");
    expect(() => recompute((x: Tensor) => ({ y: x, z: "no" }))(add(1, 2) as Tensor)).toThrow(
      "recompute: the function must return tensors, got string at 'z'",
    );
  });
});
