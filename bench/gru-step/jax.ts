import type { numpy } from "@jax-js/jax";
import { type Arrays, jax, linear, serveJax } from "../support/jax.ts";
import { workload } from "./model.ts";

const { nn, numpy: np } = jax;

await serveJax((size) => {
  const { batch, steps, vocabulary, hidden, learningRate } = workload.sizes[size];

  /** Written out step by step, as the library has no scan; the products with the input at once. */
  function gru(p: Arrays, x: numpy.Array): numpy.Array {
    const projected = np.matmul(x, p["gru/inputWeights"]!.transpose()).add(p["gru/inputBias"]!);
    const recurrent = p["gru/recurrentWeights"]!.transpose();
    const bias = p["gru/recurrentBias"]!;
    let h = np.zeros([batch, hidden]);
    const states = np.split(projected, steps, 0).map((input) => {
      const product = np.matmul(h.ref, recurrent.ref).add(bias.ref);
      const [inputR, inputZ, inputN] = np.split(input.reshape([batch, 3 * hidden]), 3, 1) as [
        numpy.Array,
        numpy.Array,
        numpy.Array,
      ];
      const [stateR, stateZ, stateN] = np.split(product, 3, 1) as [numpy.Array, numpy.Array, numpy.Array];
      const r = nn.sigmoid(inputR.add(stateR));
      const z = nn.sigmoid(inputZ.add(stateZ));
      const n = np.tanh(inputN.add(r.mul(stateN)));
      h = n.ref.add(z.mul(h.sub(n)));
      return h.ref;
    });
    h.dispose();
    recurrent.dispose();
    return np.stack(states);
  }

  return {
    optimiser: { kind: "adam", learningRate },
    loss: (p, statistics, { ids, targets }) => {
      // A product with one-hot rows: the gradient of `take` cannot be compiled when a reshape feeds it.
      const states = gru(p, np.matmul(nn.oneHot(ids!, vocabulary), p["words/table"]!));
      const logProbabilities = nn.logSoftmax(linear(p, "head", states));
      const value = logProbabilities
        .mul(nn.oneHot(targets!, vocabulary))
        .sum()
        .mul(-1 / (batch * steps));
      return { value, statistics };
    },
  };
});
