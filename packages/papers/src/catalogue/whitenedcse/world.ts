import { foldIn, type Key, RandomStream } from "@concord/tensor";

/** Sentences with known meaning: every one is drawn from a mixture of topics. */
export interface WorldConfig {
  readonly topics: number;
  /** Words of a topic, which all mean the same and come equally often. */
  readonly synonyms: number;
  /** Words without meaning; the r-th most frequent has the weight r^-zipf. */
  readonly functionWords: number;
  readonly zipf: number;
  /** Words of a sentence; each is a function word with probability 1/2. */
  readonly length: number;
  /** Topics of a sentence, with shares from a Dirichlet distribution. */
  readonly mixed: number;
  readonly concentration: number;
  readonly training: number;
  readonly development: number;
  readonly test: number;
}

/** Two sentences and how alike they are. */
export interface ScoredPair {
  readonly a: string;
  readonly b: string;
  readonly gold: number;
}

export interface World {
  readonly sentences: readonly string[];
  readonly development: readonly ScoredPair[];
  readonly test: readonly ScoredPair[];
}

const FUNCTION_SHARE = 0.5;
const streams = { training: 0, development: 1, test: 2 } as const;
const CONSONANTS = "bdfghjklmnprstvwyz";
const VOWELS = "aeiou";

/** Words that can be read: two to three syllables, another word for every number below 729,000. */
function spelled(number: number): string {
  const syllables = CONSONANTS.length * VOWELS.length;
  let word = "";
  for (let rest = number; word.length < 4 || rest > 0; rest = Math.floor(rest / syllables)) {
    const at = rest % syllables;
    word += (CONSONANTS[Math.floor(at / VOWELS.length)] as string) + (VOWELS[at % VOWELS.length] as string);
  }
  return word;
}

/** Gamma(k) for a whole k: a sum of exponentials. */
function gamma(random: RandomStream, k: number): number {
  let sum = 0;
  for (let i = 0; i < k; i++) sum -= Math.log(1 - random.uniform());
  return sum;
}

/** Shares of all topics, [topics]: `mixed` of them Dirichlet(`concentration`), the others 0. */
function drawMixture(random: RandomStream, { topics, mixed, concentration }: WorldConfig): Float64Array {
  const chosen = random.sample(
    Array.from({ length: topics }, (_, k) => k),
    mixed,
  );
  const weights = chosen.map(() => gamma(random, concentration));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const shares = new Float64Array(topics);
  chosen.forEach((topic, i) => {
    shares[topic] = (weights[i] as number) / total;
  });
  return shares;
}

/** Index drawn by cumulative weights. */
function drawIndex(random: RandomStream, cumulative: Float64Array): number {
  const wanted = random.uniform(0, cumulative.at(-1));
  const index = cumulative.findIndex((sum) => wanted < sum);
  return index < 0 ? cumulative.length - 1 : index;
}

function cumulate(weights: Iterable<number>): Float64Array {
  let sum = 0;
  return Float64Array.from(weights, (weight) => {
    sum += weight;
    return sum;
  });
}

/** Cosine of two mixtures. */
function cosine(a: Float64Array, b: Float64Array): number {
  const dot = (x: Float64Array, y: Float64Array): number =>
    x.reduce((sum, value, k) => sum + value * (y[k] as number), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

/**
 * A corpus and pairs with known similarity, of sentences that appear nowhere else. Sentence and pair i of a set are
 * pure functions of the key and i.
 *
 *   pair: mixtures t and v = m t + (1 - m) u, m uniform in [0, 1);   gold = cos(t, v)
 *
 * @throws RangeError when a sentence has more topics than there are, or the concentration is no whole number >= 1
 * @source ours
 */
export function sentenceWorld(key: Key, config: WorldConfig): World {
  const { topics, synonyms, functionWords, mixed, concentration } = config;
  if (mixed > topics)
    throw new RangeError(`sentenceWorld: a sentence cannot have ${mixed} of ${topics} topics`);
  if (!Number.isInteger(concentration) || concentration < 1)
    throw new RangeError(`sentenceWorld: concentration must be an integer >= 1, got ${concentration}`);
  const frequencies = cumulate(Array.from({ length: functionWords }, (_, r) => (r + 1) ** -config.zipf));
  const sentence = (random: RandomStream, mixture: Float64Array): string => {
    const shares = cumulate(mixture);
    const words = Array.from({ length: config.length }, () =>
      random.chance(FUNCTION_SHARE)
        ? spelled(drawIndex(random, frequencies))
        : spelled(functionWords + drawIndex(random, shares) * synonyms + random.integer(synonyms)),
    );
    return words.join(" ");
  };
  const pairs = (stream: number, count: number): ScoredPair[] =>
    Array.from({ length: count }, (_, i) => {
      const random = new RandomStream(foldIn(foldIn(key, stream), i));
      const [t, u] = [drawMixture(random, config), drawMixture(random, config)];
      const m = random.uniform();
      const v = t.map((share, k) => m * share + (1 - m) * (u[k] as number));
      return { a: sentence(random, t), b: sentence(random, v), gold: cosine(t, v) };
    });
  return {
    sentences: Array.from({ length: config.training }, (_, i) => {
      const random = new RandomStream(foldIn(foldIn(key, streams.training), i));
      return sentence(random, drawMixture(random, config));
    }),
    development: pairs(streams.development, config.development),
    test: pairs(streams.test, config.test),
  };
}
