import type { Key, NDArray, OnnxLayer, TensorLike, Traced } from "@concord/tensor";
import { foldInTensor, type Tensor } from "@concord/tensor";
import type { LoraOptions, LoraParams } from "./lora.ts";
import { loraInit, loraProduct, loraScale, mergeLora } from "./lora.ts";

export interface AdaptOptions extends LoraOptions {
  /** Share of an adapter's inputs that is dropped in training. Default 0. */
  readonly dropout?: number;
}

export interface AdaptedApplyOptions {
  /** Weights of the model that are given instead of its own, e.g. those that are trained beside the adapters. */
  readonly weights?: Readonly<Record<string, TensorLike>>;
  /** int32 [2], another one in every step: switches the adapters' dropout on. */
  readonly key?: Tensor;
}

/** An imported model whose matrix products are changed by adapters. */
export interface AdaptedOnnx {
  readonly layer: OnnxLayer;
  /** What is trained. */
  readonly params: LoraParams;
  /** As the layer's own `apply`, with the adapters' changes. */
  apply(
    params: Traced<LoraParams>,
    feeds: Readonly<Record<string, TensorLike>>,
    options?: AdaptedApplyOptions,
  ): Record<string, Tensor>;
  /**
   * All weights of the model by name, the adapters' changes added: parameters for the layer itself, and for export.
   *
   * @param weights  those that were trained beside the adapters
   */
  merge(params: LoraParams, weights?: Readonly<Record<string, NDArray>>): Promise<Record<string, NDArray>>;
}

/** Where a weight stands in the record of all weights: names may have slashes, which part the steps of paths. */
function pathOf(name: string): string {
  return name.replaceAll("~", "~0").replaceAll("/", "~1");
}

/**
 * Puts LoRA adapters on the matrix products (MatMul, Gemm) of an imported model.
 *
 *   const layer = await importOnnx("encoder.onnx", { trainable: "none" });
 *   const adapted = adaptOnnx(key, layer, { rank: 8, alpha: 16, match: /query|value/ });
 *   // train adapted.params with adapted.apply(params, feeds), then:
 *   const weights = await adapted.merge(trained);
 *   const bytes = exportOnnx((p, feeds) => layer.apply(p, feeds), { params: weights, inputs });
 *
 * @throws RangeError when no matrix matches, or the rank does not fit one
 */
export function adaptOnnx(key: Key, layer: OnnxLayer, options: AdaptOptions): AdaptedOnnx {
  const { dropout = 0 } = options;
  if (!(dropout >= 0 && dropout < 1))
    throw new RangeError(`adaptOnnx: dropout must lie in [0, 1), got ${dropout}`);
  const scale = loraScale(options);
  const transposed = new Set(
    layer.linears.filter((linear) => linear.transposed).map(({ name }) => pathOf(name)),
  );
  return {
    layer,
    params: loraInit(key, layer.linears, options),
    apply(params, feeds, { weights = {}, key: stepKey } = {}) {
      let count = 0;
      return layer.apply(weights, feeds, {
        linear: ({ name, x, weight, transposed: turned }) => {
          const pair = params[name];
          if (!pair) return undefined;
          const drop = stepKey && dropout > 0;
          return loraProduct(x, weight, pair, {
            scale,
            transposed: turned,
            ...(drop && { dropout: { key: foldInTensor(stepKey, count++), rate: dropout } }),
          });
        },
      });
    },
    async merge(params, weights = {}) {
      const all = { ...layer.frozen, ...layer.params, ...weights };
      const byPath = Object.fromEntries(Object.entries(params).map(([name, pair]) => [pathOf(name), pair]));
      return mergeLora(all, byPath, { ...options, transposed: (path) => transposed.has(path) });
    },
  };
}
