import type { Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { OperationFamily } from "../support/family.ts";
import { binary, unary } from "../support/family.ts";

export const family: OperationFamily = {
  applications: {
    cholesky: unary(engine.cholesky),
    triangularSolve: ([a, b], options) => engine.triangularSolve(a as Tensor, b as Tensor, options),
    solvePositive: binary(engine.solvePositive),
    logDeterminant: unary(engine.logDeterminant),
    inverse: unary(engine.inverse),
    inverseSquareRoot: ([x], options) => {
      const { inverseRoot, root } = engine.inverseSquareRoot(x as Tensor, options);
      return [inverseRoot, root];
    },
    orthogonalize: ([x], options) => engine.orthogonalize(x as Tensor, options),
    symmetricEigen: ([x]) => {
      const { values, vectors } = engine.symmetricEigen(x as Tensor);
      return [values, vectors];
    },
    svd: ([x]) => {
      const { u, s, v } = engine.svd(x as Tensor);
      return [u, s, v];
    },
  },
  // Random matrices may be singular or not positive, or have values that nearly coincide.
  fixedInputs: [
    "cholesky",
    "triangularSolve",
    "solvePositive",
    "logDeterminant",
    "inverse",
    "inverseSquareRoot",
    "orthogonalize",
    "symmetricEigen",
    "svd",
  ],
};
