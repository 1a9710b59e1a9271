import { type ArrayBytes, type ArrayLimits, arrayRows, checkVectorArray } from "./array-rows.ts";
import { listNames, unknownName } from "./names.ts";
import type { ArrayLayout } from "./npy-header.ts";
import type { RawRows } from "./raw-rows.ts";
import { type FieldValue, type OpenVectorsOptions, VectorFileError } from "./source.ts";
import { readWholeColumn } from "./whole-array.ts";

export interface NamedArray {
  /** File and array, for messages. */
  readonly name: string;
  readonly layout: ArrayLayout;
  readonly bytes: ArrayBytes;
}

/** A file of several arrays with names. */
export interface NamedArrays {
  readonly path: string;
  /** e.g. `.npz` */
  readonly kind: string;
  readonly names: readonly string[];
  /** @throws VectorFileError when there is no such array, or it is broken */
  array(name: string): Promise<NamedArray>;
  close(): Promise<void>;
}

/** @throws VectorFileError when the key is missing or, without a key, not exactly one array fits */
export async function namedArrayRows(
  file: NamedArrays,
  options: OpenVectorsOptions,
  limits: ArrayLimits,
): Promise<RawRows> {
  const vectors =
    options.key === undefined
      ? await onlyArray(file, (layout) => layout.shape.length === 2, "two axes")
      : await file.array(options.key);
  checkVectorArray(vectors.name, vectors.layout, limits);
  const rows = vectors.layout.shape[0] as number;
  const fields: Record<string, FieldValue[]> = {};
  for (const field of options.fields ?? []) {
    const { name, layout, bytes } = await file.array(field);
    const column = await readWholeColumn(name, layout, bytes);
    if (column.length !== rows)
      throw new VectorFileError(name, `has ${column.length} values, for ${rows} rows of ${vectors.name}`);
    fields[field] = column;
  }
  return arrayRows(vectors.name, vectors.layout, vectors.bytes, fields, () => file.close());
}

/** @throws VectorFileError when the key is missing or, without a key, not exactly one array fits */
export async function namedColumn(file: NamedArrays, key: string | undefined): Promise<FieldValue[]> {
  const { name, layout, bytes } =
    key === undefined
      ? await onlyArray(file, (shape) => shape.shape.length === 1, "one axis")
      : await file.array(key);
  return readWholeColumn(name, layout, bytes);
}

async function onlyArray(
  file: NamedArrays,
  fits: (layout: ArrayLayout) => boolean,
  described: string,
): Promise<NamedArray> {
  const fitting: { readonly key: string; readonly array: NamedArray }[] = [];
  for (const key of file.names) {
    const array = await file.array(key).catch((error: unknown) => {
      // An array of another kind is no obstacle while another one fits.
      if (error instanceof VectorFileError && file.names.length > 1) return undefined;
      throw error;
    });
    if (array && fits(array.layout)) fitting.push({ key, array });
  }
  const [first] = fitting;
  if (first && fitting.length === 1) return first.array;
  const reason =
    fitting.length > 1
      ? `several arrays have ${described}: ${listNames(fitting.map(({ key }) => key))}; name one with key`
      : `no array has ${described}; the arrays are ${file.names.length > 0 ? listNames(file.names) : "none"}`;
  throw new VectorFileError(file.path, reason);
}

/** @throws VectorFileError that lists the arrays there are */
export function requireArray<T>(path: string, arrays: ReadonlyMap<string, T>, name: string): T {
  const array = arrays.get(name);
  if (array === undefined) throw new VectorFileError(path, unknownName("array", name, [...arrays.keys()]));
  return array;
}
