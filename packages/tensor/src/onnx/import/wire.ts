import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { OnnxImportError } from "./errors.ts";
import type { OnnxLimits } from "./limits.ts";

const WIRE = { varint: 0, bytes8: 1, delimited: 2, bytes4: 5 } as const;

/** Messages within messages, far above what graphs within the allowed depth need. */
const MAX_NESTING = 90;

/** How the values of a field are encoded one by one. */
function wireTypeOf(field: DescField): number {
  if (field.message) return WIRE.delimited;
  const scalar = field.fieldKind === "scalar" || field.fieldKind === "list" ? field.scalar : undefined;
  if (scalar === ScalarType.STRING || scalar === ScalarType.BYTES) return WIRE.delimited;
  if (scalar === ScalarType.FLOAT) return WIRE.bytes4;
  return scalar === ScalarType.DOUBLE ? WIRE.bytes8 : WIRE.varint;
}

const leastBytes: Readonly<Record<number, number>> = {
  [WIRE.varint]: 1,
  [WIRE.bytes4]: 4,
  [WIRE.bytes8]: 8,
};

/**
 * Walks over the encoded message without building anything: truncated or malformed bytes and files of more messages
 * or numbers than allowed are refused before any memory is spent on them (an empty message takes two bytes in a file,
 * and a hundred in memory).
 */
export function checkWire(bytes: Uint8Array, schema: DescMessage, limits: OnnxLimits): void {
  let at = 0;
  let messages = 0;
  let numbers = 0;
  const fail = (what: string): never => {
    throw new OnnxImportError(`importOnnx: this is no ONNX model: ${what} at byte ${at}`);
  };
  const fieldsOf = new Map<DescMessage, Map<number, DescField>>();
  const fields = (of: DescMessage): Map<number, DescField> => {
    let known = fieldsOf.get(of);
    if (!known) {
      known = new Map(of.fields.map((field) => [field.number, field]));
      fieldsOf.set(of, known);
    }
    return known;
  };
  const varint = (end: number): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (at >= end) fail("the data ends within a number");
      const byte = bytes[at++] as number;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return fail("a number has more than ten bytes");
  };
  const count = (n: number): void => {
    numbers += n;
    if (numbers > limits.numbers)
      throw new OnnxImportError(
        `importOnnx: the file stores more than ${limits.numbers} numbers one by one (limits.numbers)`,
      );
  };
  const walk = (schema: DescMessage, end: number, depth: number): void => {
    if (++messages > limits.messages)
      throw new OnnxImportError(
        `importOnnx: the file has more than ${limits.messages} messages (limits.messages)`,
      );
    if (depth > MAX_NESTING)
      throw new OnnxImportError(`importOnnx: messages are nested more than ${MAX_NESTING} deep`);
    const known = fields(schema);
    while (at < end) {
      const tag = varint(end);
      const [number, wireType] = [Math.floor(tag / 8), tag % 8];
      if (number === 0) fail("a field has the number 0");
      const field = known.get(number);
      const own = field ? wireTypeOf(field) : wireType;
      const packed = wireType === WIRE.delimited && field?.fieldKind === "list";
      if (wireType !== own && !packed) fail(`field ${number} of ${schema.name} has wire type ${wireType}`);
      if (wireType === WIRE.varint) varint(end);
      else if (wireType === WIRE.bytes4) at += 4;
      else if (wireType === WIRE.bytes8) at += 8;
      else if (wireType === WIRE.delimited) {
        const length = varint(end);
        const stop = at + length;
        if (stop > end) fail(`a field of ${length} bytes reaches over its end`);
        if (field?.message) walk(field.message, stop, depth + 1);
        else if (field && own !== WIRE.delimited) count(length / (leastBytes[own] as number));
        at = stop;
      } else fail(`unknown wire type ${wireType}`);
      if (at > end) fail("the data ends within a field");
      if (field?.fieldKind === "list" && !field.message) count(1);
    }
  };
  walk(schema, bytes.length, 0);
}
