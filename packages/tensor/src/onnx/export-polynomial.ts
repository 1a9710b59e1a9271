/**
 * A multilinear function of the sizes of named axes: coefficient c_S stands at the index whose bits are the set S, and
 * the value is Σ_S c_S Π_{i ∈ S} size_i.
 */
export type Polynomial = readonly number[];

/** The value at given sizes, one for each axis. */
export function evaluatePolynomial(polynomial: Polynomial, sizes: readonly number[]): number {
  return polynomial.reduce((total, coefficient, set) => {
    const product = sizes.reduce((p, size, axis) => ((set >> axis) & 1 ? p * size : p), coefficient);
    return total + product;
  }, 0);
}

/**
 * The multilinear function with given values at the corners of a box; undefined if its coefficients are no integers.
 *
 * @param corners  values; bit i of the index tells whether axis i is at its upper end
 * @param low      lower ends of the axes
 * @param high     upper ends
 */
export function interpolate(
  corners: readonly number[],
  low: readonly number[],
  high: readonly number[],
): Polynomial | undefined {
  const coefficients = [...corners];
  low.forEach((from, axis) => {
    const bit = 1 << axis;
    const width = (high[axis] as number) - from;
    for (let set = 0; set < coefficients.length; set++) {
      if (set & bit) continue;
      const [below, above] = [coefficients[set] as number, coefficients[set | bit] as number];
      const slope = (above - below) / width;
      coefficients[set] = below - slope * from;
      coefficients[set | bit] = slope;
    }
  });
  return coefficients.every((c) => Number.isSafeInteger(c)) ? coefficients : undefined;
}

/** Whether the function is a constant. */
export function isConstant(polynomial: Polynomial): boolean {
  return polynomial.every((coefficient, set) => set === 0 || coefficient === 0);
}

/** e.g. "2 tokens + 1", for messages and names of axes. */
export function describePolynomial(polynomial: Polynomial, axes: readonly string[]): string {
  const terms = polynomial.flatMap((coefficient, set) => {
    if (coefficient === 0) return [];
    const names = axes.filter((_, axis) => (set >> axis) & 1);
    if (names.length === 0) return [String(coefficient)];
    return [coefficient === 1 ? names.join("*") : `${coefficient}*${names.join("*")}`];
  });
  return terms.length === 0 ? "0" : terms.reverse().join(" + ");
}
