const MAX_ITERATIONS = 500;
const TOLERANCE = 1e-10;

/** Rows projected to the plane that carries most of their variance. */
export interface PlaneProjection {
  /** One [x, y] per row, relative to the mean of all rows. */
  readonly points: readonly (readonly [number, number])[];
  /** Share of the variance that each axis carries, 0 to 1. */
  readonly shares: readonly [number, number];
}

function centred(rows: readonly Float32Array[], width: number): Float64Array[] {
  const centre = new Float64Array(width);
  for (const row of rows) for (let k = 0; k < width; k++) centre[k]! += row[k]! / rows.length;
  return rows.map((row) => Float64Array.from(row, (value, k) => value - centre[k]!));
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k]! * b[k]!;
  return sum;
}

/** Sets the vector to unit length; false when it is zero. */
function normalise(vector: Float64Array): boolean {
  const length = Math.sqrt(dot(vector, vector));
  if (length === 0) return false;
  for (let k = 0; k < vector.length; k++) vector[k]! /= length;
  return true;
}

/** The direction of largest variance of centred rows, by power iteration from the longest row; zero if all are zero. */
function principalAxis(rows: readonly Float64Array[], width: number): Float64Array {
  const longest = rows.reduce((best, row) => (dot(row, row) > dot(best, best) ? row : best));
  let axis = Float64Array.from(longest);
  if (!normalise(axis)) return axis;
  for (let iteration = 0; iteration < MAX_ITERATIONS; iteration++) {
    const next = new Float64Array(width);
    for (const row of rows) {
      const score = dot(row, axis);
      for (let k = 0; k < width; k++) next[k]! += score * row[k]!;
    }
    if (!normalise(next)) break;
    const turned = 1 - Math.abs(dot(axis, next));
    axis = next;
    if (turned < TOLERANCE) break;
  }
  // The sign of an axis is arbitrary; its largest component is made positive.
  const largest = axis.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
  return largest < 0 ? axis.map((value) => -value) : axis;
}

/**
 * Principal component analysis to two axes. Deterministic: the same rows give the same points.
 *
 * @param rows  [N][D] float32, at least one row, all of one length
 */
export function projectToPlane(rows: readonly Float32Array[]): PlaneProjection {
  const width = rows[0]?.length ?? 0;
  const rest = centred(rows, width);
  const total = rest.reduce((sum, row) => sum + dot(row, row), 0);
  const coordinates: Float64Array[] = [];
  const shares: number[] = [];
  for (let component = 0; component < 2; component++) {
    const axis = principalAxis(rest, width);
    const scores = Float64Array.from(rest, (row) => dot(row, axis));
    coordinates.push(scores);
    shares.push(total === 0 ? 0 : Math.min(1, dot(scores, scores) / total));
    rest.forEach((row, i) => {
      for (let k = 0; k < width; k++) row[k]! -= scores[i]! * axis[k]!;
    });
  }
  const [x, y] = coordinates as [Float64Array, Float64Array];
  return {
    points: rows.map((_, i) => [x[i]!, y[i]!] as const),
    shares: [shares[0]!, shares[1]!],
  };
}
