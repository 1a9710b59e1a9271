import type { Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";
import { alongAxis } from "../support/family.ts";

export const family: OperationFamily = {
  applications: {
    reshape: ([x], { shape }) => engine.reshape(x as Tensor, shape as number[]),
    broadcastTo: ([x], { shape }) => engine.broadcastTo(x as Tensor, shape as number[]),
    sumTo: ([x], { shape }) => engine.sumTo(x as Tensor, shape as number[]),
    transpose: ([x], { order }) => engine.transpose(x as Tensor, order as number[] | undefined),
    expandDims: alongAxis(engine.expandDims),
    squeeze: alongAxis(engine.squeeze),
    slice: ([x], { starts, ends, steps }) =>
      engine.slice(x as Tensor, starts as number[], ends as number[], steps as number[] | undefined),
    narrow: ([x], { axis, start, length }) =>
      engine.narrow(x as Tensor, axis as number, start as number, length as number),
    split: ([x], { parts, axis }) => engine.split(x as Tensor, parts as number, axis as number),
    pad: ([x], { amounts, value }) => engine.pad(x as Tensor, amounts as [number, number][], value as number),
    concat: (inputs, { axis }) => engine.concat(inputs, axis as number),
    stack: (inputs, { axis }) => engine.stack(inputs, axis as number),
  },
};
