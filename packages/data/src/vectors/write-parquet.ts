import type { SchemaElement } from "hyparquet";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import type { OutputFile } from "./output-file.ts";
import { type FieldValue, VectorFileError } from "./source.ts";
import type { EncoderOptions, VectorEncoder, WritableBlock } from "./vector-writer.ts";

/** Values of one row group, which readers decode at once. */
const valuesPerGroup = 2 ** 21;

type FieldType = "string" | "number" | "boolean";

/** A list column of float32; fields as texts, doubles or booleans, whichever their first values are. */
export function parquetEncoder(file: OutputFile, options: EncoderOptions): VectorEncoder {
  const { width, fields, column = "vector" } = options;
  const held: { readonly fields: Map<string, FieldValue[]>; vectors: number[][] } = {
    fields: new Map(fields.map((name) => [name, []])),
    vectors: [],
  };
  let types: ReadonlyMap<string, FieldType> | undefined;
  let bytes: ByteWriter | undefined;
  let writer: ParquetWriter | undefined;

  /** The schema is known when the first values are. */
  const opened = (): { readonly writer: ParquetWriter; readonly types: ReadonlyMap<string, FieldType> } => {
    types ??= new Map([...held.fields].map(([name, values]) => [name, typeOf(values)]));
    bytes ??= new ByteWriter();
    writer ??= new ParquetWriter({ writer: bytes, schema: schemaOf(types, column), codec: "SNAPPY" });
    return { writer, types };
  };
  const flush = async (): Promise<void> => {
    if (!bytes) return;
    await file.write(new Uint8Array(bytes.buffer, 0, bytes.index));
    bytes.index = 0;
  };
  const writeGroup = async (): Promise<void> => {
    const current = opened();
    const rows = held.vectors.length;
    if (rows > 0) {
      const columns = [...current.types].map(([name, type]) => ({
        name,
        data: (held.fields.get(name) ?? []).map((value) => typed(file.path, name, value, type)),
      }));
      // Numbers of vectors hardly ever repeat: to look for those that do takes longer than to write them.
      await current.writer.write({
        columnData: [...columns, { name: column, data: held.vectors, encoding: "PLAIN", statistics: false }],
        rowGroupSize: rows,
      });
    }
    held.vectors = [];
    for (const values of held.fields.values()) values.length = 0;
    await flush();
  };
  return {
    begin: async () => {},
    async write(block: WritableBlock) {
      for (let row = 0; row < block.rows; row++) {
        held.vectors.push(Array.from(block.values.subarray(row * width, (row + 1) * width)));
        for (const [name, values] of held.fields) values.push(block.fields?.[name]?.[row] ?? null);
        if (held.vectors.length * width >= valuesPerGroup) await writeGroup();
      }
    },
    async end() {
      await writeGroup();
      await opened().writer.finish();
      await flush();
    },
  };
}

function schemaOf(types: ReadonlyMap<string, FieldType>, column: string): SchemaElement[] {
  const fields = [...types].map(([name, type]): SchemaElement => {
    if (type === "string")
      return { name, type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" };
    return { name, type: type === "number" ? "DOUBLE" : "BOOLEAN", repetition_type: "OPTIONAL" };
  });
  return [
    { name: "schema", num_children: fields.length + 1 },
    ...fields,
    { name: column, repetition_type: "REQUIRED", converted_type: "LIST", num_children: 1 },
    { name: "list", repetition_type: "REPEATED", num_children: 1 },
    { name: "element", type: "FLOAT", repetition_type: "REQUIRED" },
  ];
}

function typeOf(values: readonly FieldValue[]): FieldType {
  const kinds = new Set(values.filter((value) => value !== null).map((value) => typeof value));
  if (kinds.size !== 1) return "string";
  return kinds.has("number") ? "number" : kinds.has("boolean") ? "boolean" : "string";
}

function typed(path: string, name: string, value: FieldValue, type: FieldType): FieldValue {
  if (value === null || typeof value === type) return value;
  if (type === "string") return String(value);
  throw new VectorFileError(
    path,
    `field ${JSON.stringify(name)} began with ${type} values and now has ${JSON.stringify(value)}; make them all texts`,
  );
}
