import { SafetensorsError, safetensorsHeaderLength } from "@concord/tensor";
import { isRecord } from "../json.ts";
import type { ByteFile } from "./byte-file.ts";
import { safetensorsTypes } from "./elements.ts";
import { type NamedArray, type NamedArrays, requireArray } from "./named-arrays.ts";
import { plainBytes } from "./npy-file.ts";
import { VectorFileError } from "./source.ts";

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/**
 * The arrays of a safetensors file, half precision included.
 *
 * @throws VectorFileError when the header is broken or an array lies outside the file
 */
export async function openSafetensors(file: ByteFile): Promise<NamedArrays> {
  const described = await readHeader(file);
  const arrays = new Map<string, () => NamedArray>();
  for (const [name, value] of Object.entries(described.header)) {
    if (name !== "__metadata__")
      arrays.set(name, () => describedArray(file, name, value, described.dataStart));
  }
  return {
    path: file.path,
    kind: "safetensors",
    names: [...arrays.keys()],
    array: async (name) => requireArray(file.path, arrays, name)(),
    close: () => file.close(),
  };
}

async function readHeader(
  file: ByteFile,
): Promise<{ readonly header: Readonly<Record<string, unknown>>; readonly dataStart: number }> {
  let length: number;
  try {
    length = safetensorsHeaderLength(await file.read(0, Math.min(8, file.size)), file.size);
  } catch (error) {
    if (!(error instanceof SafetensorsError)) throw error;
    throw new VectorFileError(file.path, error.message, { cause: error });
  }
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(await file.read(8, length)));
  } catch (error) {
    if (error instanceof VectorFileError) throw error;
    throw new VectorFileError(file.path, "its safetensors header is not JSON in UTF-8", { cause: error });
  }
  if (!isRecord(header)) throw new VectorFileError(file.path, "its safetensors header is not a JSON object");
  return { header, dataStart: 8 + length };
}

function describedArray(file: ByteFile, key: string, value: unknown, dataStart: number): NamedArray {
  const name = `${file.path}[${key}]`;
  const description: Readonly<Record<string, unknown>> = isRecord(value) ? value : {};
  const { dtype, shape, data_offsets: offsets } = description;
  const element = safetensorsTypes.get(String(dtype));
  if (!element)
    throw new VectorFileError(
      name,
      `element type ${JSON.stringify(String(dtype).slice(0, 40))} is none of ${[...safetensorsTypes.keys()].join(", ")}`,
    );
  if (!Array.isArray(shape) || !shape.every(isCount) || shape.length > 32)
    throw new VectorFileError(name, "its shape is no list of counts");
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount))
    throw new VectorFileError(name, "its data_offsets are no pair of counts");
  const [begin, end] = offsets as [number, number];
  const dataBytes = shape.reduce((product, extent) => product * extent, element.bytes);
  if (end - begin !== dataBytes)
    throw new VectorFileError(
      name,
      `shape (${shape.join(", ")}) of ${element.name} takes ${dataBytes} bytes, its offsets hold ${end - begin}`,
    );
  if (dataStart + end > file.size)
    throw new VectorFileError(
      name,
      `is truncated: the array ends at byte ${dataStart + end}, the file at ${file.size}`,
    );
  return {
    name,
    layout: { element, bigEndian: false, fortran: false, shape, dataOffset: dataStart + begin, dataBytes },
    bytes: plainBytes(file, dataStart + begin),
  };
}
