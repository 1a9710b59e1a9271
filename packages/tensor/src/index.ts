export * from "./checkpoint/safetensors.ts";
export { broadcastShapes, checkAxes } from "./core/axes.ts";
export * from "./core/compile.ts";
export * from "./core/errors.ts";
export * from "./core/grad.ts";
export type { CompileOptions } from "./core/graph.ts";
export type { Guard } from "./core/guard.ts";
export * from "./core/ndarray.ts";
export type { OpDefinition, Spec, TensorLike, VjpArguments } from "./core/tensor.ts";
export { asTensor, constant, defineOp, defineUnitOp, Tensor, tensor } from "./core/tensor.ts";
export type { StepMetrics, StepOptions, Trainer, TrainerOptions } from "./core/trainer.ts";
export { createTrainer } from "./core/trainer.ts";
export * from "./core/tree.ts";
export * from "./ops/activations.ts"
export * from "./ops/arithmetic.ts";
export * from "./ops/conv.ts";
export * from "./ops/create.ts";
export * from "./ops/gather.ts";
export * from "./ops/math.ts";
export * from "./ops/matmul.ts";
export * from "./ops/norm.ts";
export * from "./ops/numeric.ts"
export * from "./ops/pool.ts";
export * from "./ops/recurrent.ts";
export * from "./ops/reduce.ts";
export * from "./ops/shape.ts";
export type { ReduceOptions } from "./ops/structure.ts";
export { broadcastTo, expandDims, reshape, squeeze, sum, sumTo, transpose } from "./ops/structure.ts";
export * from "./ops/trigonometric.ts"
export * from "./optim/minimise.ts";
export * from "./optim/optimiser.ts";
export * from "./optim/schedule.ts";
export * from "./random/graph.ts";
export * from "./random/host.ts";
export { availableDevices, openRuntime, setDefaultRuntime } from "./runtime/default.ts";
export * from "./runtime/device.ts";
export type { DeviceStatus, LoadOptions, Runtime, RuntimeOptions, Session } from "./runtime/runtime.ts";
