import { type ElementType, numpyTypes } from "./elements.ts";
import { VectorFileError } from "./source.ts";

const magic = "\x93NUMPY";
/** Longest header that is read; NumPy's own are 118 bytes, more with structured types. */
const maxHeaderBytes = 2 ** 16;

/** An array of numbers or texts in a file. */
export interface ArrayLayout {
  readonly element: ElementType | TextElement;
  readonly bigEndian: boolean;
  /** Column-major: the first axis runs fastest. */
  readonly fortran: boolean;
  readonly shape: readonly number[];
  /** Bytes before the values. */
  readonly dataOffset: number;
  readonly dataBytes: number;
}

/** Texts of a fixed number of characters, padded with zeros. */
export interface TextElement {
  readonly name: string;
  readonly bytes: number;
  /** `U`: UTF-32; `S`: bytes, read as UTF-8. */
  readonly text: "U" | "S";
}

export function isNpy(start: Uint8Array): boolean {
  return Buffer.from(start.subarray(0, magic.length)).toString("latin1") === magic;
}

/** Bytes of the start of a file that hold any header that `parseNpyHeader` accepts. */
export const npyStartBytes = maxHeaderBytes + 12;

/**
 * Reads the header of NumPy's `.npy` format, versions 1 to 3.
 *
 * @param start  the first `npyStartBytes` bytes, or all where there are fewer
 * @param name  file, or file and member, for messages
 * @throws VectorFileError when the header is broken or the element type is not of numbers or texts
 */
export function parseNpyHeader(start: Uint8Array, name: string): ArrayLayout {
  const bytes = Buffer.from(start.buffer, start.byteOffset, start.byteLength);
  if (!isNpy(bytes)) {
    const shown = JSON.stringify(bytes.toString("latin1", 0, Math.min(6, bytes.length)));
    throw new VectorFileError(name, `is not a .npy file: it begins with ${shown}, not with "\\x93NUMPY"`);
  }
  const version = bytes[6];
  if (version === undefined || version < 1 || version > 3)
    throw new VectorFileError(name, `.npy format version ${version ?? "?"} is none of 1, 2 and 3`);
  const preamble = version === 1 ? 10 : 12;
  if (bytes.length < preamble) throw new VectorFileError(name, "is truncated within its header");
  const length = version === 1 ? bytes.readUInt16LE(8) : bytes.readUInt32LE(8);
  if (length > maxHeaderBytes)
    throw new VectorFileError(
      name,
      `announces a header of ${length} bytes; at most ${maxHeaderBytes} are read`,
    );
  if (bytes.length < preamble + length) throw new VectorFileError(name, "is truncated within its header");
  const header = bytes.toString(version === 3 ? "utf8" : "latin1", preamble, preamble + length);
  const fail = (what: string): never => {
    throw new VectorFileError(
      name,
      `${what} in the .npy header ${JSON.stringify(header.trim().slice(0, 200))}`,
    );
  };
  const descr = /'descr'\s*:\s*(?:'([^']*)'|\[)/.exec(header) ?? fail("there is no element type");
  const fortran = /'fortran_order'\s*:\s*(True|False)/.exec(header) ?? fail("there is no fortran_order");
  const axes = /'shape'\s*:\s*\(([\d,\sL]*)\)/.exec(header) ?? fail("there is no shape");
  const shape = (axes[1] as string)
    .split(",")
    .map((part) => part.trim().replace(/L$/, ""))
    .filter((part) => part !== "")
    .map(Number);
  if (shape.length > 32) fail("there are more than 32 axes");
  const code = descr[1];
  if (code === undefined)
    throw new VectorFileError(name, "holds records of several fields; plain numbers are expected");
  const element = elementOf(code, name);
  const dataBytes = shape.reduce((product, extent) => product * extent, element.bytes);
  if (!Number.isSafeInteger(dataBytes)) fail(`the shape (${shape.join(", ")}) is beyond any file`);
  return {
    element,
    bigEndian: code.startsWith(">"),
    fortran: fortran[1] === "True" && shape.length > 1,
    shape,
    dataOffset: preamble + length,
    dataBytes,
  };
}

const textCode = /^[<>|=]?([US])(\d{1,7})$/;

function elementOf(code: string, name: string): ElementType | TextElement {
  const text = textCode.exec(code);
  if (text) {
    const kind = text[1] as "U" | "S";
    return { name: code, bytes: Number(text[2]) * (kind === "U" ? 4 : 1), text: kind };
  }
  const type = numpyTypes.get(code.replace(/^[<>|=]/, ""));
  if (type) return type;
  const described = /^[<>|=]?O/.test(code)
    ? "Python objects (ragged rows become such); save a rectangular array of numbers"
    : /^[<>|=]?c/.test(code)
      ? "complex numbers; save their real values"
      : /^[<>|=]?[mM]/.test(code)
        ? "dates"
        : "an unknown element type";
  throw new VectorFileError(
    name,
    `element type ${JSON.stringify(code.slice(0, 40))}: ${described}; ` +
      "float16, float32, float64 and integers of 8 to 64 bits can be read",
  );
}
