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
  const re = new Float64Array(size);
  const im = new Float64Array(size);
  for (let i = 0; i < size; i++) re[i] = values[order[i] as number] as number;
  for (let span = 1; span < size; span *= 2) {
    const stride = size / (2 * span);
    for (let start = 0; start < size; start += 2 * span) {
      for (let k = 0; k < span; k++) {
        // Plain constants: taking pairs apart here makes the transform several times slower.
        const a = start + k;
        const b = a + span;
        const c = cos[k * stride] as number;
        const s = sin[k * stride] as number;
        const x = re[b] as number;
        const y = im[b] as number;
        const tr = x * c - y * s;
        const ti = x * s + y * c;
        re[b] = (re[a] as number) - tr;
        im[b] = (im[a] as number) - ti;
        re[a] = (re[a] as number) + tr;
        im[a] = (im[a] as number) + ti;
      }
    }
  }
  const power = new Float64Array(size / 2 + 1);
  for (let k = 0; k <= size / 2; k++) power[k] = (re[k] as number) ** 2 + (im[k] as number) ** 2;
  return power;
}
