import {
  add,
  cast,
  checkAxes,
  concat,
  div,
  expandDims,
  eye,
  greater,
  isFloat,
  l2Normalize,
  logicalAnd,
  logicalNot,
  logSoftmax,
  maskedLogSoftmax,
  maskedLogSumExp,
  matmul,
  maximum,
  mean,
  mul,
  neg,
  oneHot,
  ones,
  stopGradient,
  sub,
  sum,
  type Tensor,
  transpose,
  where,
} from "@concord/tensor";

/** Mean of the values that a mask [N] keeps, 0 when it keeps none. */
function meanOf(values: Tensor, kept: Tensor): Tensor {
  const counted = cast(kept, values.dtype);
  return div(sum(mul(values, counted)), maximum(sum(counted), 1));
}

function checkTemperature(operation: string, temperature: number): void {
  if (!(temperature > 0)) throw new RangeError(`${operation}: temperature must be > 0, got ${temperature}`);
}

export interface ClassMeans {
  /** [K, D], zeros where a class is absent. */
  readonly means: Tensor;
  /** [K] total weight of each class. */
  readonly mass: Tensor;
  /** [K] bool: classes with weight. */
  readonly present: Tensor;
}

export interface ClassMeanOptions {
  /** K, needed with labels. */
  readonly classes?: number;
  /** [N] bool: rows that count, e.g. confident or not padded ones. Default: all. */
  readonly valid?: Tensor;
}

/**
 * Prototypes as (weighted) means of the features of each class.
 *
 *   c_k = Σ_i w_ik f_i / Σ_i w_ik
 *
 * Gradients flow through the features only.
 *
 * @param features    [N, D]
 * @param assignment  [N] integer labels in [0, K), where any other (-100, say) leaves the row out; or [N, K]
 *   non-negative weights, e.g. softmax probabilities
 * @throws ShapeError when axes do not fit; RangeError when labels come without `classes`
 * @source Snell et al. 2017; soft weights and thresholds of pseudo-labels: Zhang et al. 2021 (ProDA)
 */
export function classMeans(
  features: Tensor,
  assignment: Tensor,
  { classes, valid }: ClassMeanOptions = {},
): ClassMeans {
  const operation = "classMeans";
  const labelled = !isFloat(assignment.dtype);
  checkAxes(operation, {
    features: [features, "N D"],
    assignment: [assignment, labelled ? "N" : "N K"],
    ...(valid && { valid: [valid, "N"] as const }),
  });
  if (labelled && !(classes !== undefined && Number.isInteger(classes) && classes >= 1))
    throw new RangeError(`${operation}: labels need the number of classes, an integer >= 1, got ${classes}`);
  const given = labelled ? oneHot(assignment, classes as number, features.dtype) : stopGradient(assignment);
  const weights = valid ? where(expandDims(valid, 1), given, 0) : given;
  const mass = sum(weights, { axes: 0 });
  const present = greater(mass, 0);
  const totals = matmul(weights, features, { transposeA: true });
  return { means: div(totals, expandDims(where(present, mass, 1), 1)), mass, present };
}

/** Prototypes that live from step to step: a part of a trainer's state. */
export interface PrototypeState<T = Tensor> {
  /** [K, D] */
  readonly prototypes: T;
  /** [K] bool: classes that were present at least once. */
  readonly seen: T;
}

/**
 * Moving average of prototypes.
 *
 *   C_k = λ C_k + (1 - λ) c_k   where k was seen before;   c_k   the first time;   C_k   where k is absent
 *
 * Gradients flow to the means of the batch, with the factor 1 - λ, and not into what is stored. Into the next state
 * goes `stopGradient` of the result (a trainer does so by itself).
 *
 * @param state   prototypes [K, D] and seen [K] as they were
 * @param batch   means [K, D] and present [K] of this batch, as `classMeans` gives them
 * @param options.momentum   λ in [0, 1], default 0.9
 * @param options.normalize  rows of the result are scaled to length 1. Default false
 * @throws ShapeError when axes do not fit; RangeError when λ is out of range
 * @source He et al. 2020 (momentum); per class: Li et al. 2021 (MoPro), section 3
 */
export function updatePrototypes(
  state: PrototypeState,
  batch: { readonly means: Tensor; readonly present: Tensor },
  options: { readonly momentum?: number; readonly normalize?: boolean } = {},
): PrototypeState {
  const operation = "updatePrototypes";
  const { momentum = 0.9, normalize = false } = options;
  checkAxes(operation, {
    prototypes: [state.prototypes, "K D"],
    seen: [state.seen, "K"],
    means: [batch.means, "K D"],
    present: [batch.present, "K"],
  });
  if (!(momentum >= 0 && momentum <= 1))
    throw new RangeError(`${operation}: momentum must lie in [0, 1], got ${momentum}`);
  const old = stopGradient(state.prototypes);
  const averaged = add(mul(old, momentum), mul(batch.means, 1 - momentum));
  const present = expandDims(batch.present, 1);
  const current = where(expandDims(state.seen, 1), averaged, batch.means);
  const result = where(present, current, old);
  const kept = logicalAnd(logicalNot(batch.present), logicalNot(state.seen));
  return {
    prototypes: normalize ? l2Normalize(result) : result,
    seen: logicalNot(kept),
  };
}

export interface PrototypeLossOptions {
  /** τ > 0. Default 0.1. Excludes `concentrations`. */
  readonly temperature?: number;
  /** [K] temperature of each prototype: small where its members lie close together (PCL). */
  readonly concentrations?: Tensor;
  /** [K] bool: prototypes to choose among. Default: all. Rows whose own prototype is out are left out too. */
  readonly present?: Tensor;
}

/**
 * Cross-entropy of features to prototypes: each row is drawn to its own prototype, away from the others.
 *
 *   L = -mean_i log softmax_k(f_i · c_k / τ_k)_{y_i}
 *
 * Gradients flow to features and prototypes; wrap either in `stopGradient` to hold it fixed.
 *
 * @param features    [N, D], unit norm where cosines are wanted
 * @param prototypes  [K, D], likewise
 * @param labels      [N] integers; rows with labels outside of [0, K) are left out
 * @returns scalar, nats; 0 when no row counts
 * @throws ShapeError when axes do not fit; RangeError when τ is not positive or both kinds of temperature are given
 * @source Li et al. 2021 (Prototypical Contrastive Learning), equation 11 without its instance term
 */
export function prototypeCrossEntropy(
  features: Tensor,
  prototypes: Tensor,
  labels: Tensor,
  { temperature, concentrations, present }: PrototypeLossOptions = {},
): Tensor {
  const operation = "prototypeCrossEntropy";
  const { K } = checkAxes(operation, {
    features: [features, "N D"],
    prototypes: [prototypes, "K D"],
    labels: [labels, "N"],
    ...(concentrations && { concentrations: [concentrations, "K"] as const }),
    ...(present && { present: [present, "K"] as const }),
  });
  if (temperature !== undefined && concentrations)
    throw new RangeError(`${operation}: give either temperature or concentrations, not both`);
  checkTemperature(operation, temperature ?? 0.1);
  const products = matmul(features, prototypes, { transposeB: true });
  const logits = div(products, concentrations ?? temperature ?? 0.1);
  const own = oneHot(labels, K, features.dtype);
  const targets = present ? where(present, own, 0) : own;
  const likelihoods = present ? maskedLogSoftmax(logits, expandDims(present, 0)) : logSoftmax(logits);
  return meanOf(neg(sum(mul(targets, likelihoods), { axes: 1 })), greater(sum(targets, { axes: 1 }), 0));
}

export interface PrototypeAlignmentOptions {
  /** τ > 0. Default 0.1. */
  readonly temperature?: number;
  /** [K] bool: prototypes of each side that exist. Default: all. */
  readonly validSource?: Tensor;
  readonly validTarget?: Tensor;
  /** Whether other prototypes of the same side are negatives too. Default true. */
  readonly withinSides?: boolean;
}

/**
 * Contrastive alignment of the class prototypes of two domains: those of one class attract each other, those of
 * different classes repel, across the sides and (by default) within them.
 *
 *   l_k = -½ log e^{s_k·t_k/τ} / [Σ_j e^{s_k·t_j/τ} + Σ_{j≠k} e^{s_k·s_j/τ}] - ½ (the same from t_k's side)
 *   L = mean of l_k over classes valid on both sides,   products are cosines
 *
 * @param source  [K, D]
 * @param target  [K, D]; row k is the same class
 * @returns scalar, nats; 0 when no class is valid on both sides
 * @throws ShapeError when axes do not fit; RangeError when τ is not positive
 * @source Chen et al. 2020 (NT-Xent) on prototypes; across domains: Ge et al. 2023 (ProKD), as reconstructed there
 */
export function prototypeAlignment(
  source: Tensor,
  target: Tensor,
  options: PrototypeAlignmentOptions = {},
): Tensor {
  const operation = "prototypeAlignment";
  const { temperature = 0.1, validSource, validTarget, withinSides = true } = options;
  checkTemperature(operation, temperature);
  const { K } = checkAxes(operation, {
    source: [source, "K D"],
    target: [target, "K D"],
    ...(validSource && { validSource: [validSource, "K"] as const }),
    ...(validTarget && { validTarget: [validTarget, "K"] as const }),
  });
  const [s, t] = [l2Normalize(source), l2Normalize(target)];
  const every = cast(ones([K]), "bool");
  const sides = [validSource ?? every, validTarget ?? every] as const;
  const others = logicalNot(cast(eye(K), "bool"));
  const similarities = (a: Tensor, b: Tensor): Tensor => div(matmul(a, b, { transposeB: true }), temperature);
  const across = similarities(s, t);
  const own = sum(mul(across, eye(K, across.dtype)), { axes: 1 });
  const direction = (toOther: Tensor, side: Tensor, valid: Tensor, validOther: Tensor): Tensor => {
    const everywhere = (mask: Tensor): Tensor => logicalAnd(expandDims(mask, 0), cast(ones([K, K]), "bool"));
    if (!withinSides) return sub(maskedLogSumExp(toOther, everywhere(validOther), { axes: 1 }), own);
    const logits = concat([toOther, similarities(side, side)], 1);
    const mask = concat([everywhere(validOther), logicalAnd(expandDims(valid, 0), others)], 1);
    return sub(maskedLogSumExp(logits, mask, { axes: 1 }), own);
  };
  const fromSource = direction(across, s, sides[0], sides[1]);
  const fromTarget = direction(transpose(across), t, sides[1], sides[0]);
  return meanOf(mul(add(fromSource, fromTarget), 0.5), logicalAnd(sides[0], sides[1]));
}

/**
 * Swapped prediction: the code of one view is predicted from the other views.
 *
 *   L = mean_{a<A} mean_{v≠a}  -mean_b Σ_k Q_a[b,k] log softmax_k(s_v[b]/τ)_k
 *
 * No view predicts its own code. Codes are constants. For prototypes of unit length, normalise them before
 * `valueAndGrad`, so that the update starts from the normalised ones and no gradient goes through the division.
 *
 * @param scores  V ≥ 2 matrices [B, K]: similarities of each view with the prototypes
 * @param codes   1 ≤ A ≤ V matrices [B, K] whose rows add up to 1: those of the first A views (`sinkhornCodes`)
 * @param options.temperature  τ > 0, default 0.1
 * @returns scalar, nats
 * @throws ShapeError when axes do not fit; RangeError when there are too few views, more codes than views or τ ≤ 0
 * @source Caron et al. 2020 (SwAV), equations 1 and 6, with averages as in its code
 */
export function swappedPrediction(
  scores: readonly Tensor[],
  codes: readonly Tensor[],
  { temperature = 0.1 }: { readonly temperature?: number } = {},
): Tensor {
  const operation = "swappedPrediction";
  checkTemperature(operation, temperature);
  if (scores.length < 2 || codes.length < 1 || codes.length > scores.length)
    throw new RangeError(
      `${operation}: needs at least 2 views and 1 to as many codes, got ${scores.length} views and ${codes.length} codes`,
    );
  const named = (name: string, list: readonly Tensor[]) =>
    Object.fromEntries(list.map((x, i) => [`${name}[${i}]`, [x, "B K"] as const]));
  checkAxes(operation, { ...named("scores", scores), ...named("codes", codes) });
  const likelihoods = scores.map((s) => logSoftmax(div(s, temperature)));
  const terms = codes.flatMap((code, a) =>
    likelihoods
      .filter((_, v) => v !== a)
      .map((likelihood) => neg(mean(sum(mul(stopGradient(code), likelihood), { axes: 1 })))),
  );
  return div(terms.reduce(add), terms.length);
}
