/** Cosines and sines of a size, and the order in which values come to the first stage. */
interface Plan {
  readonly cos: Float64Array;
  readonly sin: Float64Array;
  readonly order: Uint32Array;
}

const plans = new Map<number, Plan>();

function planOf(size: number): Plan {
  const known = plans.get(size);
  if (known) return known;
  const cos = new Float64Array(size / 2);
  const sin = new Float64Array(size / 2);
  for (let k = 0; k < size / 2; k++) {
    cos[k] = Math.cos((2 * Math.PI * k) / size);
    sin[k] = -Math.sin((2 * Math.PI * k) / size);
  }
  const order = new Uint32Array(size);
  for (let i = 1; i < size; i++) order[i] = ((order[i >> 1] as number) >> 1) | (i & 1 ? size / 2 : 0);
  const plan = { cos, sin, order };
  plans.set(size, plan);
  return plan;
}

/**
 * Squared magnitudes of the discrete Fourier transform of real values (radix 2).
 *
 * @param values  [N], N a power of two >= 2
 * @returns [N/2 + 1]
 */
export function powerSpectrum(values: Float64Array): Float64Array {
  const size = values.length;
  const { cos, sin, order } = planOf(size);
  const re = Float64Array.from(order, (i) => values[i] as number);
  const im = new Float64Array(size);
  for (let span = 1; span < size; span *= 2) {
    const stride = size / (2 * span);
    for (let start = 0; start < size; start += 2 * span) {
      for (let k = 0; k < span; k++) {
        const [a, b] = [start + k, start + k + span];
        const [c, s] = [cos[k * stride] as number, sin[k * stride] as number];
        const [x, y] = [re[b] as number, im[b] as number];
        const [tr, ti] = [x * c - y * s, x * s + y * c];
        re[b] = (re[a] as number) - tr;
        im[b] = (im[a] as number) - ti;
        re[a] = (re[a] as number) + tr;
        im[a] = (im[a] as number) + ti;
      }
    }
  }
  return Float64Array.from(
    { length: size / 2 + 1 },
    (_, k) => (re[k] as number) ** 2 + (im[k] as number) ** 2,
  );
}
