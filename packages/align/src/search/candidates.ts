/** Which of two results comes first: the higher score, the lower index among equals. */
function before(scoreA: number, indexA: number, scoreB: number, indexB: number): boolean {
  return scoreA > scoreB || (scoreA === scoreB && indexA < indexB);
}

/** The best of many candidates, kept as a heap whose root is the worst of them. */
export class Best {
  readonly #limit: number;
  readonly #scores: Float64Array;
  readonly #indices: Int32Array;
  #held = 0;

  constructor(limit: number) {
    this.#limit = limit;
    this.#scores = new Float64Array(limit);
    this.#indices = new Int32Array(limit);
  }

  get held(): number {
    return this.#held;
  }

  /** The score that a candidate has to reach; -∞ while there is room. */
  get worst(): number {
    return this.#held < this.#limit ? Number.NEGATIVE_INFINITY : (this.#scores[0] as number);
  }

  add(score: number, index: number): void {
    if (this.#held < this.#limit) {
      let at = this.#held++;
      for (; at > 0; at = (at - 1) >> 1) {
        const parent = (at - 1) >> 1;
        if (before(score, index, this.#scores[parent] as number, this.#indices[parent] as number)) break;
        this.#move(parent, at);
      }
      this.#put(at, score, index);
    } else if (before(score, index, this.#scores[0] as number, this.#indices[0] as number)) {
      this.#sink(score, index);
    }
  }

  /** Held candidates, in no order. */
  *entries(): Generator<readonly [index: number, score: number]> {
    for (let i = 0; i < this.#held; i++) yield [this.#indices[i] as number, this.#scores[i] as number];
  }

  /** All of them, best first, into rows of results. */
  write(indices: Int32Array, scores: Float32Array, at: number, sign: 1 | -1): void {
    const order = [...this.entries()].sort(([i, a], [j, b]) => b - a || i - j);
    for (const [place, [index, score]] of order.entries()) {
      indices[at + place] = index;
      // Not -0 for a distance of 0.
      scores[at + place] = score === 0 ? 0 : sign * score;
    }
  }

  /** Takes the place of the root, which goes. */
  #sink(score: number, index: number): void {
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#held) break;
      const [scores, indices] = [this.#scores, this.#indices];
      const right = child + 1;
      if (
        right < this.#held &&
        before(
          scores[child] as number,
          indices[child] as number,
          scores[right] as number,
          indices[right] as number,
        )
      )
        child = right;
      if (!before(score, index, scores[child] as number, indices[child] as number)) break;
      this.#move(child, at);
      at = child;
    }
    this.#put(at, score, index);
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#scores[from] as number, this.#indices[from] as number);
  }

  #put(at: number, score: number, index: number): void {
    this.#scores[at] = score;
    this.#indices[at] = index;
  }
}
