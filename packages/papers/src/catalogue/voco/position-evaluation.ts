import { linearProbeAccuracy, pearson } from "@concord/align";
import {
  compile,
  foldIn,
  type Key,
  type NDArray,
  RandomStream,
  type Tensor,
  type Traced,
} from "@concord/tensor";
import { dot, largest, standardised, unit } from "./crop-vectors.ts";
import { type CropGeometry, cropSizeOf, extractCrop } from "./crops.ts";
import { type NetworkConfig, pooledFeatures } from "./network.ts";
import { positionLabels } from "./position-labels.ts";
import type { PretrainedParams } from "./pretraining.ts";
import { vocoProjector } from "./projector.ts";
import type { PreparedVolume } from "./task.ts";
import { centresOf, stackCrops } from "./volume-batches.ts";

/** Random crops of a volume in the evaluation, and crops of one run of the encoder. */
const CROPS = 16;
const RUN = 32;

/** Crops of a volume with what the encoder makes of them: first the base crops, then the random ones. */
export interface EmbeddedVolume {
  readonly volume: PreparedVolume;
  readonly centres: readonly (readonly [number, number])[];
  /** Unit rows: base crops, then random ones. */
  readonly embeddings: readonly Float64Array[];
  /** Pooled features, each standardised over all crops of the set. */
  readonly features: readonly Float64Array[];
  /** Overlaps of the random crops, one row each. */
  readonly labels: readonly Float32Array[];
}

function rowsOf({ shape, data }: NDArray): Float64Array[] {
  const width = shape[1] as number;
  return Array.from({ length: shape[0] as number }, (_, i) =>
    Float64Array.from({ length: width }, (_, k) => Number(data[i * width + k])),
  );
}

function asArray(rows: readonly Float64Array[]): NDArray<"float32"> {
  const width = rows[0]?.length ?? 0;
  const data = new Float32Array(rows.length * width);
  rows.forEach((row, i) => {
    data.set(row, i * width);
  });
  return { dtype: "float32", shape: [rows.length, width], data };
}

/**
 * Embeds base crops and random crops of volumes. Arms with a projector use it, standardised by all these crops together;
 * the others their pooled features, standardised the same way, which is what a projector begins with.
 */
export async function embedVolumes(
  params: PretrainedParams,
  volumes: readonly PreparedVolume[],
  geometry: CropGeometry,
  network: NetworkConfig,
  key: Key,
  signal: AbortSignal,
): Promise<EmbeddedVolume[]> {
  const encode = compile(
    (encoder: Traced<PretrainedParams["encoder"]>, x: Tensor) => pooledFeatures(encoder, x, network),
    { name: "crop features" },
  );
  const cuts = volumes.map((volume, v) => {
    const centres = centresOf(new RandomStream(foldIn(key, v)), geometry, CROPS);
    return { volume, centres };
  });
  const all = cuts.flatMap(({ volume, centres }) => centres.map((centre) => ({ volume, centre })));
  const pooled: Float64Array[] = [];
  for (let first = 0; first < all.length; first += RUN) {
    signal.throwIfAborted();
    // The last run is filled up, so that one graph serves all.
    const chosen = Array.from({ length: RUN }, (_, i) => all[Math.min(first + i, all.length - 1)]);
    const crops = chosen.map((cut) => {
      if (!cut) throw new RangeError("voco: there is no crop to embed");
      return extractCrop(cut.volume.volume, cut.centre, geometry);
    });
    pooled.push(...rowsOf(await encode(params.encoder, stackCrops(crops, geometry))));
  }
  await encode.close();
  pooled.length = all.length;
  const features = standardised(pooled);
  const embeddings = (params.projector ? await projected(params.projector, pooled) : features).map(unit);
  const per = geometry.grid ** 2 + CROPS;
  return cuts.map(({ volume, centres }, v) => {
    const random = centres.slice(-CROPS);
    const labels = positionLabels(
      { dtype: "float32", shape: [CROPS, 2], data: Float32Array.from(random.flat()) },
      { cropSize: cropSizeOf(geometry), grid: geometry.grid },
    );
    const n = geometry.grid ** 2;
    return {
      volume,
      centres,
      embeddings: embeddings.slice(v * per, (v + 1) * per),
      features: features.slice(v * per, (v + 1) * per),
      labels: random.map((_, r) => labels.data.slice(r * n, (r + 1) * n)),
    };
  });
}

async function projected(
  projector: NonNullable<PretrainedParams["projector"]>,
  pooled: readonly Float64Array[],
): Promise<Float64Array[]> {
  const project = compile((p: Traced<typeof projector>, x: Tensor) => vocoProjector(p, x), {
    name: "projector",
  });
  const rows = rowsOf(await project(projector, asArray(pooled)));
  await project.close();
  return rows;
}

/** A random crop of one volume against the base crops of another (or the same). */
export interface PlacedCrop {
  readonly volume: number;
  readonly crop: number;
  readonly bases: number;
  /** Similarities to the bases, not below 0, and true overlaps: n each. */
  readonly logits: Float64Array;
  readonly labels: Float32Array;
}

/** Every random crop against the bases of every volume. */
export function placeCrops(volumes: readonly EmbeddedVolume[]): PlacedCrop[] {
  return volumes.flatMap(({ embeddings, labels }, a) =>
    volumes.flatMap((other, b) =>
      labels.map((row, r): PlacedCrop => {
        const crop = embeddings[row.length + r] as Float64Array;
        const logits = Float64Array.from({ length: row.length }, (_, i) =>
          Math.max(0, dot(crop, other.embeddings[i] as Float64Array)),
        );
        return { volume: a, crop: r, bases: b, logits, labels: row };
      }),
    ),
  );
}

export interface PositionMetrics {
  /** Share of random crops whose nearest base crop of ANOTHER patient is one that they overlap most. */
  readonly acrossAccuracy: number;
  /** Pearson's correlation of similarities and overlaps, across patients. */
  readonly acrossCorrelation: number;
  /** The same within a patient, where crops share voxels. */
  readonly withinAccuracy: number;
  /** Mean |cos| of two base crops of one volume. */
  readonly baseSimilarity: number;
}

/** @param placed  what `placeCrops` makes of the same volumes, at least two */
export function positionMetrics(
  volumes: readonly EmbeddedVolume[],
  placed: readonly PlacedCrop[],
): PositionMetrics {
  const across = placed.filter(({ volume, bases }) => volume !== bases);
  const within = placed.filter(({ volume, bases }) => volume === bases);
  const accuracy = (list: readonly PlacedCrop[]): number =>
    // Of equal overlaps each is right.
    list.filter(({ logits, labels }) => labels[largest(logits)] === labels[largest(labels)]).length /
    list.length;
  let [total, pairs] = [0, 0];
  for (const { embeddings, labels } of volumes) {
    const n = labels[0]?.length ?? 0;
    for (let i = 0; i < n; i++)
      for (let j = i + 1; j < n; j++, pairs++)
        total += Math.abs(dot(embeddings[i] as Float64Array, embeddings[j] as Float64Array));
  }
  return {
    acrossAccuracy: accuracy(across),
    acrossCorrelation: pearson(
      across.flatMap(({ logits }) => [...logits]),
      across.flatMap(({ labels }) => [...labels]),
    ),
    withinAccuracy: accuracy(within),
    baseSimilarity: total / pairs,
  };
}

/**
 * How well a linear map of pooled features finds the region of a random crop of a volume that it was not fitted on: half
 * of the volumes fit, the other half tests, then the other way round.
 */
export function regionProbe(volumes: readonly EmbeddedVolume[]): number {
  const half = Math.ceil(volumes.length / 2);
  const parts = [volumes.slice(0, half), volumes.slice(half)].map((list) => ({
    features: asArray(list.flatMap(({ features }) => features)),
    // A base crop is its own region; a random one that which it overlaps most.
    labels: Int32Array.from(
      list.flatMap(({ labels }) => [...(labels[0] ?? []).keys(), ...labels.map((row) => largest(row))]),
    ),
  }));
  const [first, second] = parts as [(typeof parts)[number], (typeof parts)[number]];
  // Accuracies need no minimum to six digits.
  const options = { tolerance: 1e-2, maxIterations: 200 };
  const there = linearProbeAccuracy(first.features, first.labels, second.features, second.labels, options);
  const back = linearProbeAccuracy(second.features, second.labels, first.features, first.labels, options);
  return (there.accuracy + back.accuracy) / 2;
}
