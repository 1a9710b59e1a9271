import type { ConvOptions, ConvTransposeOptions, Tensor } from "../../src/index.ts";
import * as engine from "../../src/index.ts";
import type { Application, OperationFamily } from "../support/family.ts";

type Convolution<O extends ConvOptions> = (x: Tensor, weights: Tensor, options: O) => Tensor;

function application<O extends ConvOptions>(op: Convolution<O>): Application {
  return ([x, weights, bias], attributes) =>
    op(x as Tensor, weights as Tensor, { ...(attributes as unknown as O), ...(bias && { bias }) });
}

export const family: OperationFamily = {
  applications: {
    conv1d: application<ConvOptions>(engine.conv1d),
    conv2d: application<ConvOptions>(engine.conv2d),
    conv3d: application<ConvOptions>(engine.conv3d),
    convTranspose1d: application<ConvTransposeOptions>(engine.convTranspose1d),
    convTranspose2d: application<ConvTransposeOptions>(engine.convTranspose2d),
    convTranspose3d: application<ConvTransposeOptions>(engine.convTranspose3d),
  },
};
