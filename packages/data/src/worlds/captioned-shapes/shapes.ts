/**
 * Signed distance from a point to the outline of a shape that fits the unit circle: negative inside, y downwards.
 */
export type SignedDistance = (x: number, y: number) => number;

/** Distance to a closed polygon, convex or not; `corners` lists x0, y0, x1, y1, ... */
function polygon(corners: readonly number[]): SignedDistance {
  const count = corners.length / 2;
  const points = Float64Array.from(corners);
  return (x, y) => {
    let nearest = Number.POSITIVE_INFINITY;
    let sign = 1;
    for (let i = 0, j = count - 1; i < count; j = i++) {
      const ax = points[2 * i] as number;
      const ay = points[2 * i + 1] as number;
      const bx = points[2 * j] as number;
      const by = points[2 * j + 1] as number;
      const ex = bx - ax;
      const ey = by - ay;
      const wx = x - ax;
      const wy = y - ay;
      const along = Math.min(1, Math.max(0, (wx * ex + wy * ey) / (ex * ex + ey * ey)));
      const dx = wx - ex * along;
      const dy = wy - ey * along;
      nearest = Math.min(nearest, dx * dx + dy * dy);
      // Crossing number: each edge that the ray to the right of the point meets changes the side.
      if (ay > y !== by > y && x < (ex * (y - ay)) / ey + ax) sign = -sign;
    }
    return sign * Math.sqrt(nearest);
  };
}

/** Corners at the given radii, taken in turn, starting at the top and going round. */
function radial(count: number, ...radii: readonly number[]): number[] {
  const corners: number[] = [];
  for (let i = 0; i < count; i++) {
    const angle = (2 * Math.PI * i) / count;
    const radius = radii[i % radii.length] as number;
    corners.push(radius * Math.sin(angle), -radius * Math.cos(angle));
  }
  return corners;
}

function heartOutline(): number[] {
  const corners: number[] = [];
  for (let i = 0; i < 32; i++) {
    const t = (2 * Math.PI * i) / 32;
    const x = 16 * Math.sin(t) ** 3;
    const y = 13 * Math.cos(t) - 5 * Math.cos(2 * t) - 2 * Math.cos(3 * t) - Math.cos(4 * t);
    corners.push(x / 16.5, -(y + 2.5) / 16.5);
  }
  return corners;
}

const circle: SignedDistance = (x, y) => Math.hypot(x, y) - 0.9;

/** One outline per value of the attribute `shape`, in the same order. */
export const shapeDistances: readonly SignedDistance[] = [
  circle,
  polygon([-0.8, -0.8, 0.8, -0.8, 0.8, 0.8, -0.8, 0.8]),
  polygon(radial(3, 1.1)),
  polygon([0, -1.1, 0.6, 0, 0, 1.1, -0.6, 0]),
  polygon([
    -0.28, -1, 0.28, -1, 0.28, -0.28, 1, -0.28, 1, 0.28, 0.28, 0.28, 0.28, 1, -0.28, 1, -0.28, 0.28, -1, 0.28,
    -1, -0.28, -0.28, -0.28,
  ]),
  polygon(radial(10, 1.15, 0.45)),
  (x, y) => Math.abs(Math.hypot(x, y) - 0.75) - 0.25,
  polygon(heartOutline()),
  (x, y) => Math.max(Math.hypot(x, y) - 1, 0.85 - Math.hypot(x - 0.5, y)),
  polygon([1.1, 0, 0.2, -0.85, 0.2, -0.3, -1.05, -0.3, -1.05, 0.3, 0.2, 0.3, 0.2, 0.85]),
];

/** All outlines lie within this distance of the centre. */
export const outlineReach = 1.2;
