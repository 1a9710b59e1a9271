export * from "./checkpoint/safetensors.ts";
export type { AccumulatedStepOptions, AccumulatedTrainer } from "./core/accumulate.ts";
export { createAccumulatedTrainer } from "./core/accumulate.ts";
export { broadcastShapes, checkAxes } from "./core/axes.ts";
export type { CachedTrainer, TowerInputs } from "./core/cached.ts";
export { createCachedTrainer } from "./core/cached.ts";
export * from "./core/compile.ts";
export type { MinimiseState } from "./core/descent.ts";
export * from "./core/errors.ts";
export * from "./core/grad.ts";
export type { CompileOptions } from "./core/graph.ts";
export type { Guard } from "./core/guard.ts";
export * from "./core/ndarray.ts";
export { trackOrigins } from "./core/origin.ts";
export type { Each, LoweringSpecs, OpDefinition, Spec, TensorLike, VjpArguments } from "./core/tensor.ts";
export { asTensor, constant, defineOp, defineUnitOp, Tensor, tensor } from "./core/tensor.ts";
export type { StepMetrics, StepOptions, Trainer, TrainerOptions } from "./core/trainer.ts";
export { createTrainer } from "./core/trainer.ts";
export * from "./core/tree.ts";
export * from "./onnx/append.ts";
export * from "./onnx/export.ts";
export * from "./onnx/import/index.ts";
export * from "./onnx/inference.ts";
export * from "./ops/activations.ts";
export * from "./ops/arithmetic.ts";
export * from "./ops/batch-norm.ts";
export * from "./ops/box-filter.ts";
export * from "./ops/conv.ts";
export * from "./ops/create.ts";
export * from "./ops/cumulative.ts";
export * from "./ops/einsum.ts";
export * from "./ops/gather.ts";
export * from "./ops/gradient-control.ts";
export * from "./ops/grid-sample.ts";
export * from "./ops/group-norm.ts";
export * from "./ops/layer-norm.ts";
export * from "./ops/linalg.ts";
export * from "./ops/loss.ts";
export * from "./ops/masked.ts";
export * from "./ops/math.ts";
export * from "./ops/matmul.ts";
export type { NormOptions } from "./ops/norm-options.ts";
export * from "./ops/numeric.ts";
export * from "./ops/pairs.ts";
export * from "./ops/pool.ts";
export * from "./ops/rearrange.ts";
export * from "./ops/recompute.ts";
export * from "./ops/recurrent.ts";
export * from "./ops/reduce.ts";
export * from "./ops/resize.ts";
export * from "./ops/rms-norm.ts";
export * from "./ops/scatter.ts";
export * from "./ops/segment.ts";
export * from "./ops/shape.ts";
export * from "./ops/sort.ts";
export * from "./ops/sparsemax.ts";
export type { ReduceOptions } from "./ops/structure.ts";
export { broadcastTo, expandDims, reshape, squeeze, sum, sumTo, transpose } from "./ops/structure.ts";
export * from "./ops/trigonometric.ts";
export * from "./ops/weight-norm.ts";
export * from "./optim/minimise.ts";
export * from "./optim/optimiser.ts";
export * from "./optim/schedule.ts";
export * from "./random/graph.ts";
export * from "./random/host.ts";
export { availableDevices, openRuntime, setDefaultRuntime } from "./runtime/default.ts";
export * from "./runtime/device.ts";
export type {
  DeviceStatus,
  LoadOptions,
  ModelSession,
  ModelValue,
  Runtime,
  RuntimeOptions,
  Session,
} from "./runtime/runtime.ts";
