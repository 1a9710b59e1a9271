import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import type { NDArray, OnnxLayer } from "../../src/index.ts";
import { importOnnx, OnnxImportError, supportedOnnxOps } from "../../src/index.ts";
import type { GraphProto } from "../../src/onnx/onnx_pb.ts";
import { ModelProtoSchema } from "../../src/onnx/onnx_pb.ts";
import { fixture, numbers } from "./support.ts";

/** Damaged copies of each model; more of them with FUZZ=10000. */
const ROUNDS = Number(process.env.FUZZ ?? 150);

describe("random damage", () => {
  /** Park and Miller's generator: the same damage every time. */
  function generator(seed: number): (below: number) => number {
    let state = seed;
    return (below) => {
      state = (state * 48271) % 2147483647;
      return state % below;
    };
  }

  const sizes: Readonly<Record<string, number>> = {
    batch: 2,
    tokens: 7,
    b: 3,
    height: 24,
    width: 20,
    time: 14,
  };

  function feedsFor(layer: OnnxLayer): Record<string, NDArray> {
    return Object.fromEntries(
      layer.inputs.map(({ name, dtype, shape = [] }) => {
        const sized = shape.map((n) => (typeof n === "number" ? Math.min(n, 64) : (sizes[n ?? ""] ?? 2)));
        return [name, numbers(sized, 1, dtype)];
      }),
    );
  }

  it.each(["gru-text", "shapes", "mobilenet", "bert", "clip-text"])(
    "%s: a layer or an OnnxImportError, and soon",
    async (name) => {
      const whole = await fixture(`${name}.onnx`);
      const random = generator(name.length * 7919);
      const outcomes = { fine: 0, refused: 0 };
      for (let round = 0; round < ROUNDS; round++) {
        const damaged = whole.slice();
        for (let i = 0; i <= random(4); i++) {
          const at = random(damaged.length);
          damaged[at] = random(3) === 0 ? random(256) : (damaged[at] as number) ^ (1 << random(8));
        }
        const started = performance.now();
        try {
          const layer = await importOnnx(damaged);
          layer.apply({}, feedsFor(layer));
          outcomes.fine++;
        } catch (error) {
          if (!(error instanceof OnnxImportError)) throw error;
          outcomes.refused++;
        }
        expect(performance.now() - started).toBeLessThan(5000);
      }
      expect(outcomes.fine).toBeGreaterThan(0);
      expect(outcomes.refused).toBeGreaterThan(0);
    },
  );

  const absurd = [-(2n ** 63n), -(2n ** 31n), -3n, -1n, 0n, 1n, 2n, 7n, 1000n, 2n ** 31n, 2n ** 62n];

  it.each(["gru-text", "shapes", "mobilenet", "bert-unfolded", "clip-text", "resnet-preserved"])(
    "%s: absurd numbers, exchanged operators, inputs and shapes",
    async (name) => {
      const whole = await fixture(`${name}.onnx`);
      const random = generator(name.length * 104729);
      const pick = <T>(list: readonly T[]): T => list[random(list.length)] as T;
      const operators = supportedOnnxOps()
        .filter(({ domain }) => domain === "ai.onnx")
        .map(({ op }) => op);
      const outcomes = { fine: 0, refused: 0 };
      for (let round = 0; round < ROUNDS; round++) {
        const model = fromBinary(ModelProtoSchema, whole);
        const { node, initializer } = model.graph as GraphProto;
        for (let i = 0; i <= random(3); i++) {
          const target = pick(node);
          const attribute = target.attribute.length > 0 ? pick(target.attribute) : undefined;
          const kind = random(6);
          if (kind === 0 && attribute) {
            attribute.i = pick(absurd);
            attribute.f = pick([Number.NaN, -1, 0, 1e30]);
            attribute.ints = attribute.ints.map((n) => (random(2) === 0 ? pick(absurd) : n));
          } else if (kind === 1) {
            const values =
              attribute?.t?.dataType === 7 ? attribute.t : initializer.find((t) => t.dataType === 7);
            if (values && values.rawData.length >= 8) {
              const numbers = new BigInt64Array(values.rawData.slice().buffer);
              numbers[random(numbers.length)] = pick(absurd);
              values.rawData = new Uint8Array(numbers.buffer);
            }
          } else if (kind === 2) target.opType = pick(operators);
          else if (kind === 3 && target.input.length > 0)
            target.input[random(target.input.length)] = pick(pick(node).output);
          else if (kind === 4 && initializer.length > 0) {
            const stored = pick(initializer);
            stored.dims = random(2) === 0 ? stored.dims.toReversed() : [1n, ...stored.dims];
          } else if (kind === 5) target.input.splice(random(target.input.length + 1), 1);
        }
        const started = performance.now();
        try {
          const layer = await importOnnx(toBinary(ModelProtoSchema, model));
          layer.apply({}, feedsFor(layer));
          outcomes.fine++;
        } catch (error) {
          if (!(error instanceof OnnxImportError)) throw error;
          outcomes.refused++;
        }
        expect(performance.now() - started).toBeLessThan(5000);
      }
      expect(outcomes.fine).toBeGreaterThan(0);
      expect(outcomes.refused).toBeGreaterThan(0);
    },
  );
});
