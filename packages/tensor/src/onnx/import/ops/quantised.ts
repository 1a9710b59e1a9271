import type { Tensor } from "../../../core/tensor.ts";
import { cast, mul, sub } from "../../../ops/arithmetic.ts";
import { reshape } from "../../../ops/structure.ts";
import type { NodeCall } from "../call.ts";
import { axisOf } from "../call.ts";
import type { OpEntries } from "./entry.ts";

/** (x - zero point) · scale, one scale for all or one for each entry of an axis. */
function dequantise(call: NodeCall): Tensor {
  const [x, scale, zero] = [call.tensor(0), call.float(1), call.optional(2)];
  if (call.int("block_size", 0) !== 0) call.fail("blocks are not supported");
  const axis = scale.rank === 0 ? 0 : axisOf(call, call.int("axis", 1), Math.max(x.rank, 1));
  const along = (vector: Tensor): Tensor =>
    vector.rank === 0
      ? vector
      : reshape(
          vector,
          x.shape.map((_, i) => (i === axis ? -1 : 1)),
        );
  const values = cast(x, scale.dtype);
  return mul(zero ? sub(values, along(cast(zero, scale.dtype))) : values, along(scale));
}

export const quantisedOps: OpEntries = {
  DequantizeLinear: {
    attributes: ["axis", "block_size", "output_dtype"],
    note: "one scale, or one for each entry of an axis",
    lazy: dequantise,
  },
};
