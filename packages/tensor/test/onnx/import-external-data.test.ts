import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NDArray, OnnxLayer } from "../../src/index.ts";
import { importOnnx, OnnxImportError, toNumbers } from "../../src/index.ts";
import { TensorProtoSchema } from "../../src/onnx/onnx_pb.ts";
import { bytesOf, graphOf, modelOf, numbers } from "./support.ts";

describe("external data", () => {
  let folder = "";
  const weights = numbers([2, 3], 5);
  const content = new Uint8Array(weights.data.buffer as ArrayBuffer);

  function external(location: string, extra: Record<string, string> = {}): Uint8Array {
    const graph = graphOf({
      nodes: [{ op: "Add", inputs: ["x", "w"], outputs: ["y"] }],
      inputs: { x: { shape: [2, 3] } },
      outputs: ["y"],
    });
    graph.initializer = [
      create(TensorProtoSchema, {
        name: "w",
        dims: [2n, 3n],
        dataType: 1,
        dataLocation: 1,
        externalData: Object.entries({ location, ...extra }).map(([key, value]) => ({
          $typeName: "onnx.StringStringEntryProto" as const,
          key,
          value,
        })),
      }),
    ];
    return bytesOf(modelOf(graph));
  }

  async function load(location: string, extra: Record<string, string> = {}): Promise<OnnxLayer> {
    const path = join(folder, "model", "model.onnx");
    await writeFile(path, external(location, extra));
    return importOnnx(path);
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "onnx-"));
    await mkdir(join(folder, "model", "data"), { recursive: true });
    await writeFile(
      join(folder, "model", "data", "w.bin"),
      new Uint8Array([...new Uint8Array(16), ...content]),
    );
    await writeFile(join(folder, "secret.bin"), content);
    await symlink(join(folder, "secret.bin"), join(folder, "model", "link.bin"));
    await symlink("data/w.bin", join(folder, "model", "inner.bin"));
    await symlink(folder, join(folder, "model", "up"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it("is read from below the model's folder", async () => {
    for (const location of ["data/w.bin", "./data/w.bin", "inner.bin"]) {
      const layer = await load(location, { offset: "16", length: "24" });
      expect(toNumbers(layer.params.w as NDArray)).toEqual(toNumbers(weights));
    }
    await expect(importOnnx(join(folder, "missing.onnx"))).rejects.toThrow(
      /cannot read .*missing\.onnx.*ENOENT/,
    );
    await expect(importOnnx(folder)).rejects.toThrow(OnnxImportError);
  });

  it.each([
    ["an absolute path", "/etc/passwd", {}, /expected a path below the model's folder/],
    ["a way up", "../secret.bin", {}, /without '\.\.'/],
    ["a way up within", "data/../../secret.bin", {}, /without '\.\.'/],
    ["a backslash", "..\\secret.bin", {}, /expected a path below/],
    ["a drive", "C:secret.bin", {}, /expected a path below/],
    ["a NUL", "data/w.bin\0.txt", {}, /expected a path below/],
    ["nothing", "", {}, /expected a path below/],
    ["a link that leads out", "link.bin", {}, /leads out of the model's folder/],
    ["a linked folder that leads out", "up/secret.bin", {}, /leads out of the model's folder/],
    ["a folder", "data", {}, /is no regular file|cannot read/],
    ["a missing file", "data/none.bin", {}, /cannot read external data 'data\/none.bin'/],
    [
      "too few bytes",
      "data/w.bin",
      { offset: "20" },
      /bytes 20 to 44 of 'data\/w.bin' are wanted, which has 40/,
    ],
    [
      "another length",
      "data/w.bin",
      { length: "20" },
      /takes 20 bytes of 'data\/w.bin', but its shape \[2, 3\] needs 24/,
    ],
    [
      "a negative offset",
      "data/w.bin",
      { offset: "-1" },
      /the offset in 'data\/w.bin' is '-1', expected a whole number/,
    ],
    ["a huge offset", "data/w.bin", { offset: "99999999999999999999" }, /expected a whole number/],
  ] as const)("is refused: %s", async (_, location, extra, message) => {
    await expect(load(location, extra)).rejects.toThrow(message);
    await expect(load(location, extra)).rejects.toThrow(OnnxImportError);
  });

  it("is not read again and again to fill the memory", async () => {
    const model = modelOf(
      graphOf({
        nodes: [{ op: "Sum", inputs: Array.from({ length: 9 }, (_, i) => `w${i}`), outputs: ["y"] }],
        outputs: ["y"],
      }),
    );
    const place = { $typeName: "onnx.StringStringEntryProto" as const, key: "location", value: "w.bin" };
    model.graph?.initializer.push(
      ...Array.from({ length: 9 }, (_, i) =>
        create(TensorProtoSchema, {
          name: `w${i}`,
          dims: [2n, 3n],
          dataType: 1,
          dataLocation: 1,
          externalData: [place],
        }),
      ),
    );
    const message = /tensors take 120 bytes of '.*w\.bin', which has 24; at most 4 times/;
    await expect(importOnnx(bytesOf(model), { externalData: { "w.bin": content } })).rejects.toThrow(message);
    await writeFile(join(folder, "model", "w.bin"), content);
    await writeFile(join(folder, "model", "again.onnx"), bytesOf(model));
    await expect(importOnnx(join(folder, "model", "again.onnx"))).rejects.toThrow(message);
  });

  it("can be given as bytes", async () => {
    const model = external("data/w.bin", { offset: "16" });
    const file = new Uint8Array([...new Uint8Array(16), ...content]);
    const layer = await importOnnx(model, { externalData: { "data/w.bin": file } });
    expect(toNumbers(layer.params.w as NDArray)).toEqual(toNumbers(weights));
    await expect(importOnnx(model)).rejects.toThrow(/give it in options.externalData/);
    await expect(importOnnx(model, { externalData: { "data/w.bin": content } })).rejects.toThrow(
      /which has 24/,
    );
    await expect(importOnnx(external("__proto__"))).rejects.toThrow(/give it in options.externalData/);
  });
});
