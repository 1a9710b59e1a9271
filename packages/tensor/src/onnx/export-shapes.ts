import { create } from "@bufbuild/protobuf";
import type { Polynomial } from "./export-polynomial.ts";
import { isConstant } from "./export-polynomial.ts";
import type { OpenAxis, OpenConstant, OpenValue } from "./export-samples.ts";
import { OnnxExportError } from "./export-samples.ts";
import { floatsToHalves } from "./import/half.ts";
import type { AttributeProto, NodeProto, TensorProto } from "./onnx_pb.ts";
import { AttributeProtoSchema, NodeProtoSchema, TensorProtoSchema } from "./onnx_pb.ts";

const INT64 = 7;

export function integerAttribute(name: string, value: number): AttributeProto {
  return create(AttributeProtoSchema, { name, type: 2, i: BigInt(value) });
}

function int64s(values: readonly number[], scalar = false): TensorProto {
  return create(TensorProtoSchema, {
    dims: scalar ? [] : [BigInt(values.length)],
    dataType: INT64,
    rawData: new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
  });
}

/** One number of an ONNX type. */
function single(dataType: number, value: number, dims: readonly bigint[] = []): TensorProto {
  const arrays: Readonly<Record<number, () => ArrayBufferLike>> = {
    1: () => Float32Array.of(value).buffer,
    2: () => Uint8Array.of(value).buffer,
    6: () => Int32Array.of(value).buffer,
    7: () => BigInt64Array.of(BigInt(value)).buffer,
    9: () => Uint8Array.of(value).buffer,
    11: () => Float64Array.of(value).buffer,
  };
  const bytes = arrays[dataType]?.();
  if (!bytes) throw new OnnxExportError(`exportOnnx: no constants of ONNX type ${dataType}`);
  return create(TensorProtoSchema, {
    dims: [...dims],
    dataType,
    rawData: new Uint8Array(bytes as ArrayBuffer),
  });
}

/** Where the size of an open axis can be read: an input of the graph and one of its axes. */
export interface AxisSource {
  readonly input: string;
  readonly axis: number;
}

/** Writes the nodes that compute shapes from the sizes of the inputs; equal ones once. */
export class ShapeWriter {
  readonly nodes: NodeProto[] = [];
  readonly #axes: readonly OpenAxis[];
  readonly #sources: readonly AxisSource[];
  readonly #known = new Map<string, string>();

  constructor(axes: readonly OpenAxis[], sources: readonly AxisSource[]) {
    this.#axes = axes;
    this.#sources = sources;
  }

  #node(opType: string, input: readonly string[], attribute: AttributeProto[] = [], key = ""): string {
    const full = `${opType}(${input.join()})${key}`;
    const known = this.#known.get(full);
    if (known) return known;
    const name = `shape_${this.nodes.length}`;
    this.#known.set(full, name);
    this.nodes.push(
      create(NodeProtoSchema, {
        opType,
        input: [...input],
        output: [name],
        name: `Shape/${name}`,
        attribute,
      }),
    );
    return name;
  }

  #constant(tensor: TensorProto): string {
    const key = `${tensor.dataType} [${tensor.dims.join()}] ${tensor.rawData.join()}`;
    return this.#node(
      "Constant",
      [],
      [create(AttributeProtoSchema, { name: "value", type: 4, t: tensor })],
      key,
    );
  }

  /** The size of an open axis in multiples, as a list of one. */
  #units(axis: number): string {
    const { input, axis: at } = this.#sources[axis] as AxisSource;
    const size = this.#node(
      "Shape",
      [input],
      [integerAttribute("start", at), integerAttribute("end", at + 1)],
      String(at),
    );
    const { multipleOf } = this.#axes[axis] as OpenAxis;
    return multipleOf === 1 ? size : this.#node("Div", [size, this.#constant(int64s([multipleOf]))]);
  }

  /** The value of a function of the sizes, as a list of one. */
  #entry(polynomial: Polynomial): string {
    const terms = polynomial.flatMap((coefficient, set) => {
      if (coefficient === 0) return [];
      const sizes = this.#axes.flatMap((_, axis) => ((set >> axis) & 1 ? [this.#units(axis)] : []));
      const factors =
        coefficient === 1 && sizes.length > 0 ? sizes : [...sizes, this.#constant(int64s([coefficient]))];
      return [factors.reduce((a, b) => this.#node("Mul", [a, b]))];
    });
    return terms.length === 0
      ? this.#constant(int64s([0]))
      : terms.reduce((a, b) => this.#node("Add", [a, b]));
  }

  /** A list of functions of the sizes; runs of plain numbers become one constant. */
  #list(entries: readonly Polynomial[]): string {
    const parts: string[] = [];
    let run: number[] = [];
    const flush = (): void => {
      if (run.length > 0) parts.push(this.#constant(int64s(run)));
      run = [];
    };
    for (const entry of entries) {
      if (isConstant(entry)) run.push(entry[0] ?? 0);
      else {
        flush();
        parts.push(this.#entry(entry));
      }
    }
    flush();
    return parts.length === 1
      ? (parts[0] as string)
      : this.#node("Concat", parts, [integerAttribute("axis", 0)]);
  }

  #integers({ entries, scalar, dataType }: OpenConstant): string {
    const list = this.#list(entries);
    const shaped = scalar ? this.#node("Reshape", [list, this.#constant(int64s([]))]) : list;
    return dataType === INT64
      ? shaped
      : this.#node("Cast", [shaped], [integerAttribute("to", dataType)], String(dataType));
  }

  /** The name of a value that depends on open axes. A Reshape may infer one entry by itself. */
  value(value: OpenValue, inferOne: boolean): string {
    if (value.kind === "integers") {
      const open = value.entries.filter((entry) => !isConstant(entry));
      const fixed = value.entries.map((entry) => (isConstant(entry) ? (entry[0] ?? 0) : -1));
      if (inferOne && open.length === 1 && !fixed.includes(0)) return this.#constant(int64s(fixed));
      return this.#integers(value);
    }
    const shape = this.#list(value.shape);
    if (value.kind === "filled") {
      const filling = create(AttributeProtoSchema, {
        name: "value",
        type: 4,
        t: single(value.dataType, value.value, [1n]),
      });
      return this.#node("ConstantOfShape", [shape], [filling], `${value.dataType} ${value.value}`);
    }
    const limit = this.#node("Reshape", [shape, this.#constant(int64s([]))]);
    const range = this.#node("Range", [
      this.#constant(int64s([0], true)),
      limit,
      this.#constant(int64s([1], true)),
    ]);
    return value.dataType === INT64
      ? range
      : this.#node("Cast", [range], [integerAttribute("to", value.dataType)], String(value.dataType));
  }
}

/** A float32 tensor in half the bytes. */
export function asHalf(tensor: TensorProto): TensorProto {
  const floats = new Float32Array(new Uint8Array(tensor.rawData).buffer);
  const bits = floatsToHalves(floats);
  return create(TensorProtoSchema, {
    name: tensor.name,
    dims: tensor.dims,
    dataType: 10,
    rawData: new Uint8Array(bits.buffer as ArrayBuffer),
  });
}
