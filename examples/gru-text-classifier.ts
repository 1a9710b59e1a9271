// A GRU reads sentences word by word and learns whether they praise, in a language where "not" turns the next word around.
import { type RecurrentEncoderParams, recurrentEncoder, recurrentEncoderInit } from "@concord/nn";
import {
  adamw,
  argmax,
  compile,
  mean,
  minimise,
  ndarray,
  oneHot,
  RandomStream,
  randomKey,
  softmaxCrossEntropy,
  type Tensor,
  type Traced,
  toNumbers,
} from "@concord/tensor";

const WORDS = ["<pad>", "the", "film", "was", "not", "good", "great", "bad", "dull"];
const LENGTH = 6;

/** Sentences such as "the film was not good", as word numbers with padding, and whether they praise. */
function sentences(seed: number, count: number) {
  const random = new RandomStream(randomKey(seed));
  const texts = Array.from({ length: count }, () => {
    const [adjective, negated, short] = [5 + random.integer(4), random.integer(2), random.integer(2)];
    const words = [...(short ? [] : [1]), 2, 3, ...(negated ? [4] : []), adjective];
    return { words, praise: Number(adjective < 7) ^ negated };
  });
  const padded = texts.map(({ words }) => [...words, ...Array(LENGTH - words.length).fill(0)] as number[]);
  return {
    ids: ndarray(padded, { dtype: "int32" }),
    mask: ndarray(padded.map((row) => row.map((word) => Number(word !== 0)))),
    labels: ndarray(
      texts.map(({ praise }) => praise),
      { dtype: "int32" },
    ),
  };
}

const trainer = minimise({
  params: recurrentEncoderInit(randomKey(0), {
    kind: "gru",
    vocabulary: WORDS.length,
    width: 16,
    hidden: 24,
    outputs: 2,
  }),
  optimiser: adamw({ learningRate: 0.01 }),
  loss: (params, { ids, mask, labels }: { ids: Tensor; mask: Tensor; labels: Tensor }) =>
    mean(softmaxCrossEntropy(recurrentEncoder(params, ids, mask), oneHot(labels, 2))),
});

for (let step = 0; step < 120; step++) {
  const { loss } = await trainer.step(sentences(step, 32));
  if (step % 40 === 39) console.log(`step ${step}: loss ${loss.toFixed(4)}`);
}

const classify = compile((params: Traced<RecurrentEncoderParams>, ids: Tensor, mask: Tensor) =>
  argmax(recurrentEncoder(params, ids, mask)),
);
const { ids, mask, labels } = sentences(1000, 200);
const found = toNumbers(await classify(trainer.state().params, ids, mask));
const right = found.filter((label, i) => label === labels.data[i]).length;
console.log(`accuracy on new sentences: ${((100 * right) / found.length).toFixed(1)} %`);
await trainer.close();
