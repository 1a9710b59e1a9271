import { openColumn, openVectors } from "@concord/data";
import type { NDArray } from "@concord/tensor";
import { type Dataset, MAX_ROWS, parseLabels, SkipLog, type TowerData } from "./dataset.ts";
import { AdaptDataError } from "./errors.ts";
import type { AdaptRequest, RowLabels } from "./request.ts";

interface ReadVectors {
  readonly name: string;
  readonly width: number;
  /** Rows of the file, those that were skipped too. */
  readonly total: number;
  /** Place in `values` of each row of the file that was kept. */
  readonly places: ReadonlyMap<number, number>;
  readonly values: Float32Array;
}

async function readVectors(path: string, column: string | undefined, skipped: SkipLog): Promise<ReadVectors> {
  const named = /\.(npz|safetensors)$/i.test(path);
  const source = await openVectors(path, {
    ...(column === undefined ? {} : named ? { key: column } : { column }),
    onProblem: ({ line, reason }) => skipped.add(reason, `${path}:${line}`),
    maxRows: MAX_ROWS,
  });
  try {
    const places = new Map<number, number>();
    const blocks: Float32Array[] = [];
    for await (const { values, indices } of source.blocks()) {
      for (const index of indices) places.set(index, places.size);
      blocks.push(values.slice());
    }
    const values = new Float32Array(places.size * source.width);
    let end = 0;
    for (const block of blocks) {
      values.set(block, end);
      end += block.length;
    }
    const total = source.rows ?? places.size + source.problems.count;
    return { name: path, width: source.width, total, places, values };
  } finally {
    await source.close();
  }
}

function givenVectors(name: string, { shape, data }: NDArray<"float32">, skipped: SkipLog): ReadVectors {
  const [total, width] = shape;
  if (shape.length !== 2 || !total || !width)
    throw new AdaptDataError(`${name}: expected vectors [rows, D], got shape [${shape.join(", ")}]`);
  const places = new Map<number, number>();
  const values = new Float32Array(data.length);
  for (let row = 0; row < total; row++) {
    const vector = data.subarray(row * width, (row + 1) * width);
    const finite = vector.every(Number.isFinite);
    if (finite && vector.some((value) => value !== 0)) {
      values.set(vector, places.size * width);
      places.set(row, places.size);
    } else skipped.add(finite ? "a row of zeros" : "a value that is not finite", `${name}, row ${row}`);
  }
  return { name, width, total, places, values: values.subarray(0, places.size * width) };
}

/** Vectors computed before: rows that any of the files lacks are left out of all. */
export async function readEmbeddings(request: AdaptRequest): Promise<Dataset> {
  const skipped = new SkipLog();
  const read: (ReadVectors & { readonly tower: string })[] = [];
  for (const [tower, given] of Object.entries(request.towers)) {
    if (!("vectors" in given))
      throw new AdaptDataError(`'${tower}' is an encoder; give pairs for it, or vectors for all towers`);
    const { vectors, column } = given;
    const one =
      typeof vectors === "string"
        ? await readVectors(vectors, column, skipped)
        : givenVectors(tower, vectors, skipped);
    read.push({ ...one, tower });
  }
  const [first, ...others] = read as [(typeof read)[number], ...typeof read];
  for (const other of others) {
    if (other.total !== first.total)
      throw new AdaptDataError(
        `${first.name} has ${first.total} rows and ${other.name} ${other.total}; row i of one must belong to row i of the other`,
      );
  }
  const given = request.labels;
  const labels =
    typeof given === "string"
      ? (await openColumn(given)).map((value) => parseLabels(String(value ?? "")))
      : given;
  if (labels && labels.length !== first.total)
    throw new AdaptDataError(`There are ${labels.length} labels for ${first.total} rows of ${first.name}`);
  const kept = [...first.places.keys()].filter((row) => others.every(({ places }) => places.has(row)));
  if (kept.length === 0) {
    const [example] = skipped.examples;
    throw new AdaptDataError(
      `${read.map(({ name }) => name).join(" and ")} have no usable row in common${example ? `; e.g. ${example}` : ""}`,
    );
  }
  const towers = read.map(({ tower, width, places, values }): [string, TowerData] => {
    const data = new Float32Array(kept.length * width);
    kept.forEach((row, i) => {
      const place = places.get(row) as number;
      data.set(values.subarray(place * width, (place + 1) * width), i * width);
    });
    return [tower, { kind: "vectors", vectors: { dtype: "float32", shape: [kept.length, width], data } }];
  });
  return {
    count: kept.length,
    towers: new Map(towers),
    labels: labels ? kept.map((row) => labels[row] as RowLabels) : null,
    groups: null,
    compare: null,
    scores: null,
    columns: {},
    skipped,
  };
}
