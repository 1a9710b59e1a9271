/** Counts of one alignment of fewest edits. */
export interface EditCounts {
  readonly hits: number;
  readonly substitutions: number;
  readonly deletions: number;
  readonly insertions: number;
}

export interface ErrorRate extends EditCounts {
  /** (S + D + I) / N: at least 0, above 1 when much is inserted. */
  readonly rate: number;
  /** N, tokens of the references. */
  readonly referenceLength: number;
}

/**
 * Aligns two sequences with the fewest edits (Levenshtein) and counts them. Among alignments of equally few edits the
 * one with most substitutions is counted (so fewest deletions and insertions): the counts depend on the sequences alone.
 * O(N · M) time, O(M) memory.
 *
 * @param reference   N tokens: what was said
 * @param hypothesis  M tokens: what was recognised; deletions are reference tokens missing here
 * @source Levenshtein 1966; Wagner, Fischer 1974
 */
export function alignTokens(reference: readonly string[], hypothesis: readonly string[]): EditCounts {
  const width = hypothesis.length + 1;
  // Of each prefix of the hypothesis: fewest edits, and the most substitutions among them.
  let edits = Float64Array.from({ length: width }, (_, j) => j);
  let swaps = new Float64Array(width);
  let nextEdits = new Float64Array(width);
  let nextSwaps = new Float64Array(width);
  for (const [i, token] of reference.entries()) {
    nextEdits[0] = i + 1;
    nextSwaps[0] = 0;
    for (let j = 1; j < width; j++) {
      const wrong = token === hypothesis[j - 1] ? 0 : 1;
      let least = (edits[j - 1] as number) + wrong;
      let most = (swaps[j - 1] as number) + wrong;
      const consider = (cost: number, count: number): void => {
        if (cost < least || (cost === least && count > most)) [least, most] = [cost, count];
      };
      consider((edits[j] as number) + 1, swaps[j] as number);
      consider((nextEdits[j - 1] as number) + 1, nextSwaps[j - 1] as number);
      nextEdits[j] = least;
      nextSwaps[j] = most;
    }
    [edits, nextEdits] = [nextEdits, edits];
    [swaps, nextSwaps] = [nextSwaps, swaps];
  }
  const substitutions = swaps.at(-1) as number;
  // D + I is what is left of the edits; D - I is the difference of the lengths.
  const rest = (edits.at(-1) as number) - substitutions;
  const deletions = (rest + reference.length - hypothesis.length) / 2;
  return {
    hits: reference.length - substitutions - deletions,
    substitutions,
    deletions,
    insertions: rest - deletions,
  };
}

function errorRate(
  operation: string,
  references: readonly string[],
  hypotheses: readonly string[],
  split: (text: string) => string[],
): ErrorRate {
  if (references.length !== hypotheses.length) {
    throw new RangeError(
      `${operation}: needs one hypothesis for each reference, got ${references.length} and ${hypotheses.length}`,
    );
  }
  const total = { hits: 0, substitutions: 0, deletions: 0, insertions: 0 };
  for (const [i, reference] of references.entries()) {
    const counts = alignTokens(split(reference), split(hypotheses[i] as string));
    total.hits += counts.hits;
    total.substitutions += counts.substitutions;
    total.deletions += counts.deletions;
    total.insertions += counts.insertions;
  }
  const referenceLength = total.hits + total.substitutions + total.deletions;
  if (referenceLength === 0)
    throw new RangeError(`${operation}: the references are empty; an error rate needs at least one token`);
  return {
    ...total,
    rate: (total.substitutions + total.deletions + total.insertions) / referenceLength,
    referenceLength,
  };
}

/**
 * Word error rate of a set of transcripts: WER = Σ (S + D + I) / Σ N, summed over transcripts before dividing. Words are
 * what white space separates; case and punctuation are kept, so normalise the texts before where that is wanted. An
 * empty hypothesis deletes all words; an empty reference adds insertions only.
 *
 * @throws RangeError when the numbers of texts differ or no reference has a word
 */
export function wordErrorRate(references: readonly string[], hypotheses: readonly string[]): ErrorRate {
  return errorRate("wordErrorRate", references, hypotheses, (text) => text.split(/\s+/u).filter(Boolean));
}

/**
 * Character error rate, the same with Unicode code points as tokens; spaces count, no normalisation is done.
 *
 * @throws RangeError when the numbers of texts differ or no reference has a character
 */
export function characterErrorRate(references: readonly string[], hypotheses: readonly string[]): ErrorRate {
  return errorRate("characterErrorRate", references, hypotheses, (text) => Array.from(text));
}
