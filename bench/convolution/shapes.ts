export interface ConvolutionShape {
  readonly batch: number;
  readonly channels: number;
  readonly filters: number;
  readonly image: readonly number[];
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
}

const square = (n: number): number[] => [n, n];
const cube = (n: number): number[] => [n, n, n];

function shape(
  batch: number,
  channels: number,
  filters: number,
  image: readonly number[],
  { kernel = 3, stride = 1, padding = Math.floor(kernel / 2) } = {},
): ConvolutionShape {
  return { batch, channels, filters, image, kernel, stride, padding };
}

/** Convolutions of the ResNet and the U-Net step of the benchmark, and their neighbourhood. */
export const shapes: readonly ConvolutionShape[] = [
  shape(64, 3, 32, square(32)),
  shape(64, 32, 32, square(32)),
  shape(64, 64, 64, square(16)),
  shape(64, 128, 128, square(8)),
  shape(64, 32, 64, square(32), { stride: 2 }),
  shape(64, 64, 128, square(16), { stride: 2 }),
  shape(64, 32, 64, square(32), { kernel: 1, stride: 2, padding: 0 }),
  shape(64, 64, 128, square(16), { kernel: 1 }),
  shape(8, 24, 40, square(28)),
  shape(2, 16, 16, square(96)),
  shape(16, 8, 8, square(16)),
  shape(16, 64, 64, [400]),
  shape(2, 1, 16, cube(32)),
  shape(2, 16, 16, cube(32)),
  shape(2, 32, 32, cube(16)),
  shape(2, 64, 64, cube(8)),
  shape(2, 48, 16, cube(32)),
  shape(2, 16, 32, cube(32), { kernel: 2, stride: 2, padding: 0 }),
  shape(2, 16, 32, cube(32), { stride: 2 }),
];
