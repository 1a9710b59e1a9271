import { isFloat, ndarray, toNumbers } from "../../../core/ndarray.ts";
import { asTensor, type Tensor } from "../../../core/tensor.ts";
import { gather } from "../../../ops/gather.ts";
import { gridSample } from "../../../ops/grid-sample.ts";
import type { AxisWeights } from "../../../ops/separable.ts";
import { applySeparable } from "../../../ops/separable.ts";
import type { NodeCall } from "../call.ts";
import { axisOf } from "../call.ts";
import type { OpEntries } from "./entry.ts";

interface AxisScale {
  readonly inputs: number;
  readonly outputs: number;
  /** Outputs for each input. */
  readonly scale: number;
}

/** The input place at which an output stands. */
function placeOf(call: NodeCall): (output: number, axis: AxisScale) => number {
  const mode = call.text("coordinate_transformation_mode", "half_pixel");
  const half = (i: number, { scale }: AxisScale): number => (i + 0.5) / scale - 0.5;
  switch (mode) {
    case "half_pixel":
      return half;
    case "pytorch_half_pixel":
      return (i, axis) => (axis.outputs > 1 ? half(i, axis) : 0);
    case "half_pixel_symmetric":
      return (i, axis) => {
        const covered = axis.outputs / (axis.scale * axis.inputs);
        return (axis.inputs / 2) * (1 - covered) + half(i, axis);
      };
    case "align_corners":
      return (i, { inputs, outputs }) => (outputs === 1 ? 0 : (i * (inputs - 1)) / (outputs - 1));
    case "asymmetric":
      return (i, { scale }) => i / scale;
    default:
      return call.fail(`coordinate_transformation_mode '${mode}' is not supported`);
  }
}

function rounding(call: NodeCall): (place: number) => number {
  const mode = call.text("nearest_mode", "round_prefer_floor");
  switch (mode) {
    case "round_prefer_floor":
      return (x) => Math.ceil(x - 0.5);
    case "round_prefer_ceil":
      return (x) => Math.floor(x + 0.5);
    case "floor":
      return Math.floor;
    case "ceil":
      return Math.ceil;
    default:
      return call.fail(`nearest_mode '${mode}' is unknown`);
  }
}

/** Keys' kernel. */
function cubicKernel(distance: number, a: number): number {
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/** Weights of the inputs in one output: [input, weight], inputs beyond the border count for the border. */
function neighbours(call: NodeCall, place: number, inputs: number): [at: number, weight: number][] {
  const mode = call.text("mode", "nearest");
  const clip = (at: number): number => Math.min(Math.max(at, 0), inputs - 1);
  if (mode === "nearest") return [[clip(rounding(call)(place)), 1]];
  if (mode === "linear") {
    const x = clip(place);
    const low = Math.floor(x);
    return [
      [low, 1 - (x - low)],
      [clip(low + 1), x - low],
    ];
  }
  if (mode !== "cubic") call.fail(`mode '${mode}' is unknown`);
  const low = Math.floor(place);
  const a = call.floatAttribute("cubic_coeff_a", -0.75);
  const taken = [-1, 0, 1, 2].map((offset): [number, number] => [
    low + offset,
    cubicKernel(place - low - offset, a),
  ]);
  if (!call.flag("exclude_outside", false)) return taken.map(([at, weight]) => [clip(at), weight]);
  const inside = taken.filter(([at]) => at === clip(at));
  const total = inside.reduce((sum, [, weight]) => sum + weight, 0);
  return inside.map(([at, weight]) => [at, weight / total]);
}

/** Input size, output size and scale of each axis. */
function axisScales(call: NodeCall, x: Tensor): AxisScale[] {
  const axes = (call.ints("axes") ?? x.shape.map((_, i) => i)).map((axis) => axisOf(call, axis, x.rank));
  const listed = (index: number, what: string): number[] | undefined => {
    const array = call.has(index) ? call.known(index, what) : undefined;
    if (!array || array.data.length === 0) return undefined;
    if (array.data.length !== axes.length)
      call.fail(`its ${what} have ${array.data.length} entries for ${axes.length} axes`);
    return toNumbers(array);
  };
  const sizes = listed(3, "sizes");
  const scales = sizes ? undefined : (listed(2, "scales") ?? call.fail("needs scales or sizes"));
  const result = x.shape.map((n): AxisScale => ({ inputs: n, outputs: n, scale: 1 }));
  axes.forEach((axis, i) => {
    const inputs = x.shape[axis] as number;
    const scale = scales ? (scales[i] as number) : (sizes?.[i] as number) / inputs;
    const outputs = sizes ? (sizes[i] as number) : Math.floor(inputs * scale);
    if (!(inputs >= 1 && outputs >= 1 && scale > 0))
      call.fail(`axis ${axis} of ${inputs} is to have ${outputs}`);
    result[axis] = { inputs, outputs, scale };
  });
  call.checkSize(result.map(({ outputs }) => outputs));
  return result;
}

function resize(call: NodeCall): Tensor {
  const x = call.tensor(0);
  if (call.flag("antialias", false)) call.fail("antialias is not supported");
  const policy = call.text("keep_aspect_ratio_policy", "stretch");
  if (policy !== "stretch") call.fail(`keep_aspect_ratio_policy '${policy}' is not supported`);
  const place = placeOf(call);
  const weights = new Map<number, AxisWeights>();
  let result = x;
  axisScales(call, x).forEach((axis, i) => {
    if (axis.inputs === axis.outputs && axis.scale === 1) return;
    call.trace.charge(axis.outputs);
    const taken = Array.from({ length: axis.outputs }, (_, output) =>
      neighbours(call, place(output, axis), axis.inputs),
    );
    if (!isFloat(x.dtype) || taken.every((list) => list.length === 1)) {
      const indices = taken.map((list) => list[0]?.[0] as number);
      result = gather(result, asTensor(ndarray(indices, { dtype: "int64" })), i);
      return;
    }
    call.trace.charge(axis.inputs * axis.outputs);
    const rows = taken.map((list) => {
      const row = new Array<number>(axis.inputs).fill(0);
      for (const [at, weight] of list) row[at] = (row[at] as number) + weight;
      return row;
    });
    weights.set(i, rows);
  });
  return applySeparable(result, weights);
}

function sampleGrid(call: NodeCall): Tensor {
  const mode = call.text("mode", call.version >= 20 ? "linear" : "bilinear");
  if (!["linear", "bilinear", "nearest"].includes(mode)) call.fail(`mode '${mode}' is not supported`);
  const padding = call.text("padding_mode", "zeros");
  if (padding !== "zeros" && padding !== "border" && padding !== "reflection")
    return call.fail(`padding_mode '${padding}' is unknown`);
  return gridSample(call.float(0), call.float(1), {
    mode: mode === "nearest" ? "nearest" : "linear",
    padding,
    alignCorners: call.flag("align_corners", false),
  });
}

export const resamplingOps: OpEntries = {
  GridSample: {
    attributes: ["align_corners", "mode", "padding_mode"],
    since: 16,
    note: "linear and nearest",
    lazy: sampleGrid,
  },
  Resize: {
    attributes: [
      "antialias",
      "axes",
      "coordinate_transformation_mode",
      "cubic_coeff_a",
      "exclude_outside",
      "extrapolation_value",
      "keep_aspect_ratio_policy",
      "mode",
      "nearest_mode",
    ],
    note: "without antialias and crops; sizes or scales known beforehand",
    lazy: resize,
  },
};
