import type { Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";

export const family: OperationFamily = {
  applications: {
    flip: ([x], { axes }) => engine.flip(x as Tensor, axes as number[] | undefined),
    roll: ([x], { shift, axis }) => engine.roll(x as Tensor, shift as number, axis as number),
    tile: ([x], { repeats }) => engine.tile(x as Tensor, repeats as number[]),
    repeat: ([x], { times, axis }) => engine.repeat(x as Tensor, times as number, axis as number),
    tril: ([x], { offset }) => engine.tril(x as Tensor, offset as number),
    triu: ([x], { offset }) => engine.triu(x as Tensor, offset as number),
    diagonal: ([x], { offset }) => engine.diagonal(x as Tensor, offset as number),
    diagonalMatrix: ([x]) => engine.diagonalMatrix(x as Tensor),
    trace: ([x]) => engine.trace(x as Tensor),
    meshgrid: (vectors) => engine.meshgrid(...vectors),
  },
  testedElsewhere: { linspace: "rearrange.test.ts" },
};
