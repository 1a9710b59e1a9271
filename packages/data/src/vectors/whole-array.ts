import { type ArrayBytes, decodeElements, isText } from "./array-rows.ts";
import type { ElementType } from "./elements.ts";
import type { ArrayLayout } from "./npy-header.ts";
import { type FieldValue, VectorFileError } from "./source.ts";

/** A column that is kept in memory may take this many bytes in its file. */
const maxColumnBytes = 2 ** 30;
const pieceBytes = 4 * 2 ** 20;

/**
 * All values of an array with one axis (or two, one of them of length 1). 64-bit integers beyond 2^53 come as texts.
 *
 * @throws VectorFileError when the array has another shape or is too large for memory
 */
export async function readWholeColumn(
  name: string,
  layout: ArrayLayout,
  bytes: ArrayBytes,
): Promise<FieldValue[]> {
  const { shape, element } = layout;
  const long = shape.filter((extent) => extent !== 1);
  if (shape.length === 0 || shape.length > 2 || (shape.length === 2 && long.length === 2))
    throw new VectorFileError(name, `has the shape (${shape.join(", ")}); a column has one axis`);
  if (layout.dataBytes > maxColumnBytes)
    throw new VectorFileError(name, `takes ${layout.dataBytes} bytes; a column may take ${maxColumnBytes}`);
  const count = shape.reduce((product, extent) => product * extent, 1);
  const result: FieldValue[] = [];
  if (element.bytes === 0) return new Array<FieldValue>(count).fill("");
  const sequence = await bytes.sequential();
  try {
    const perPiece = Math.max(1, Math.floor(pieceBytes / element.bytes));
    for (let start = 0; start < count; start += perPiece) {
      const length = Math.min(perPiece, count - start);
      const piece = await sequence.next(length * element.bytes);
      for (const value of decodeValues(name, piece, layout)) result.push(value);
    }
  } finally {
    await sequence.close();
  }
  return result;
}

function* decodeValues(
  name: string,
  piece: Uint8Array<ArrayBuffer>,
  layout: ArrayLayout,
): Generator<FieldValue> {
  const { element } = layout;
  if (isText(element)) {
    for (let at = 0; at < piece.length; at += element.bytes)
      yield decodeText(name, piece.subarray(at, at + element.bytes), element.text, layout.bigEndian);
    return;
  }
  const numbers = decodeElements(piece, layout);
  for (let i = 0; i < numbers.length; i++) {
    const value = numbers[i] as number;
    if (element.name === "bool") yield value !== 0;
    else if (element.name.endsWith("64") && !Number.isSafeInteger(value) && isInteger(element))
      yield String(
        element.name === "int64"
          ? new BigInt64Array(piece.buffer, piece.byteOffset + 8 * i, 1)[0]
          : new BigUint64Array(piece.buffer, piece.byteOffset + 8 * i, 1)[0],
      );
    else yield value;
  }
}

function isInteger(element: ElementType): boolean {
  return element.name.includes("int");
}

function decodeText(name: string, bytes: Uint8Array, kind: "U" | "S", bigEndian: boolean): string {
  if (kind === "S") {
    const end = bytes.indexOf(0);
    return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = "";
  for (let at = 0; at < bytes.length; at += 4) {
    const code = view.getUint32(at, !bigEndian);
    if (code === 0) break;
    if (code > 0x10ffff)
      throw new VectorFileError(name, `holds ${code} where a Unicode character is expected`);
    text += String.fromCodePoint(code);
  }
  return text;
}
