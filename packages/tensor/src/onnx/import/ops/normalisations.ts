import { formatShape } from "../../../core/errors.ts";
import type { Tensor } from "../../../core/tensor.ts";
import { add, div, mul, sub } from "../../../ops/arithmetic.ts";
import { full } from "../../../ops/create.ts";
import { groupNorm, instanceNorm } from "../../../ops/group-norm.ts";
import { layerNorm } from "../../../ops/layer-norm.ts";
import { abs, sqrt } from "../../../ops/math.ts";
import { mean, norm } from "../../../ops/reduce.ts";
import { reshape, sum } from "../../../ops/structure.ts";
import type { NodeCall } from "../call.ts";
import { axisOf } from "../call.ts";
import type { OpEntries } from "./entry.ts";

/** [C] as [1, C, 1, …], so that it broadcasts along the channels of x. */
export function alongChannels(vector: Tensor, rank: number): Tensor {
  return reshape(vector, [1, -1, ...Array.from({ length: rank - 2 }, () => 1)]);
}

/** (x - μ) / √(σ² + ε) over some axes. */
function standardised(x: Tensor, axes: readonly number[], epsilon: number): Tensor {
  const centred = sub(x, mean(x, { axes, keepDims: true }));
  return div(centred, sqrt(add(mean(mul(centred, centred), { axes, keepDims: true }), epsilon)));
}

function checkVectors(call: NodeCall, channels: number, vectors: readonly Tensor[]): void {
  for (const vector of vectors)
    if (vector.rank !== 1 || vector.shape[0] !== channels)
      call.fail(`expected vectors of ${channels} channels, got ${formatShape(vector.shape)}`);
}

/** Running statistics and the affine map as one factor and one shift for each channel. */
function batchNormalization(call: NodeCall): Tensor {
  const [x, gain, bias, average, variance] = [0, 1, 2, 3, 4].map((i) => call.float(i)) as [
    Tensor,
    Tensor,
    Tensor,
    Tensor,
    Tensor,
  ];
  if (call.flag("training_mode", false) && call.node.outputs.slice(1).some((name) => name !== ""))
    call.fail("updated statistics (training_mode 1) are not supported; export the model for inference");
  if (x.rank < 2) call.fail(`its input ${formatShape(x.shape)} has no channels`);
  checkVectors(call, x.shape[1] as number, [gain, bias, average, variance]);
  const factor = div(gain, sqrt(add(variance, call.floatAttribute("epsilon", 1e-5))));
  const shift = sub(bias, mul(average, factor));
  // A convolution that nothing else reads takes both into its weights, and their gradients with them: two passes over
  // the activations less on the way there, and more on the way back.
  const drawnIn = call.trace.uses.get(call.node.inputs[0] ?? "") === 1 && call.trace.convolutions.get(x);
  if (drawnIn) return drawnIn(factor, shift);
  return add(mul(x, alongChannels(factor, x.rank)), alongChannels(shift, x.rank));
}

/** Layer norm over the axes from `axis` on. */
export function layerNormOver(
  x: Tensor,
  gain: Tensor,
  bias: Tensor | undefined,
  axis: number,
  epsilon: number,
) {
  const width = x.shape.slice(axis).reduce((a, b) => a * b, 1);
  const flat = reshape(x, [...x.shape.slice(0, axis), width]);
  const shift = bias ? reshape(bias, [width]) : full([width], 0, x.dtype);
  return reshape(layerNorm(flat, reshape(gain, [width]), shift, { epsilon }), x.shape);
}

function layerNormalization(call: NodeCall): Tensor {
  if (call.node.outputs.slice(1).some((name) => name !== "")) call.fail("its statistics are not supported");
  const [x, gain, bias] = [call.float(0), call.float(1), call.optional(2)];
  const axis = axisOf(call, call.int("axis", -1), x.rank);
  const epsilon = call.floatAttribute("epsilon", 1e-5);
  const own = x.shape.slice(axis);
  const wide = [gain, ...(bias ? [bias] : [])].every(({ shape }) => formatShape(shape) === formatShape(own));
  if (wide && x.dtype === "float32") return layerNormOver(x, gain, bias, axis, epsilon);
  const axes = own.map((_, i) => axis + i);
  const scaled = mul(standardised(x, axes, epsilon), gain);
  return bias ? add(scaled, bias) : scaled;
}

function instanceNormalization(call: NodeCall): Tensor {
  return instanceNorm(call.float(0), call.float(1), call.float(2), {
    epsilon: call.floatAttribute("epsilon", 1e-5),
  });
}

function groupNormalization(call: NodeCall): Tensor {
  const [x, gain, bias] = [call.float(0), call.float(1), call.float(2)];
  const groups = call.requiredInt("num_groups");
  const [batch, channels] = x.shape as [number, number];
  if (x.rank < 3 || channels % groups !== 0)
    call.fail(`${groups} groups do not part ${formatShape(x.shape)}`);
  const epsilon = call.floatAttribute("epsilon", 1e-5);
  // Up to opset 20 one factor a group, since then one a channel.
  if (call.version >= 21) return groupNorm(x, gain, bias, { groups, epsilon });
  checkVectors(call, groups, [gain, bias]);
  const y = standardised(reshape(x, [batch, groups, -1]), [2], epsilon);
  return reshape(add(mul(y, alongChannels(gain, 3)), alongChannels(bias, 3)), x.shape);
}

/** x / √(mean x² + ε) · gain over the axes from `axis` on. */
export function rmsNormOver(x: Tensor, gain: Tensor, axis: number, epsilon: number): Tensor {
  const axes = x.shape.map((_, i) => i).slice(axis);
  return mul(div(x, sqrt(add(mean(mul(x, x), { axes, keepDims: true }), epsilon))), gain);
}

function rmsNormalization(call: NodeCall): Tensor {
  const x = call.float(0);
  const axis = axisOf(call, call.int("axis", -1), x.rank);
  return rmsNormOver(x, call.float(1), axis, call.floatAttribute("epsilon", 1e-5));
}

function lpNormalization(call: NodeCall): Tensor {
  const x = call.float(0);
  const axes = axisOf(call, call.int("axis", -1), x.rank);
  const p = call.int("p", 2);
  if (p !== 1 && p !== 2) call.fail(`p is ${p}, expected 1 or 2`);
  return div(x, p === 2 ? norm(x, { axes, keepDims: true }) : sum(abs(x), { axes, keepDims: true }));
}

export const normalisationOps: OpEntries = {
  BatchNormalization: {
    attributes: ["epsilon", "momentum", "training_mode", "spatial"],
    note: "with its stored statistics, as in inference",
    lazy: batchNormalization,
  },
  GroupNormalization: {
    attributes: ["epsilon", "num_groups", "stash_type"],
    since: 18,
    lazy: groupNormalization,
  },
  InstanceNormalization: { attributes: ["epsilon"], lazy: instanceNormalization },
  // Written by ONNX Runtime's own optimisers before the operator became part of the standard, too.
  LayerNormalization: { attributes: ["axis", "epsilon", "stash_type"], lazy: layerNormalization },
  LpNormalization: { attributes: ["axis", "p"], lazy: lpNormalization },
  MeanVarianceNormalization: {
    attributes: ["axes"],
    lazy: (call) => standardised(call.float(0), call.ints("axes") ?? [0, 2, 3], 1e-9),
  },
  RMSNormalization: { attributes: ["axis", "epsilon", "stash_type"], since: 23, lazy: rmsNormalization },
  SimplifiedLayerNormalization: {
    attributes: ["axis", "epsilon", "stash_type"],
    lazy: rmsNormalization,
  },
};
