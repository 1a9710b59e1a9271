// Writes docs/onnx-import.md: node --conditions=source packages/tensor/test/onnx/operators-table.ts
import { writeFile } from "node:fs/promises";
import { supportedOnnxOps } from "../../src/index.ts";

export const tableFile = new URL("../../../../docs/onnx-import.md", import.meta.url);

/** The page that lists what `importOnnx` understands. */
export function operatorsPage(): string {
  const ops = supportedOnnxOps();
  const rows = ops.map(({ domain, op, opsets: [first, last], attributes, note }) => {
    const name = domain === "ai.onnx" ? op : `${domain}.${op}`;
    const shown = attributes.map((attribute) => `\`${attribute}\``).join(" ");
    return `| ${name} | ${first === last ? first : `${first}–${last}`} | ${shown} | ${note} |`;
  });
  return `# Operators that \`importOnnx\` understands

${ops.length} operators; \`supportedOnnxOps()\` returns the list. This page is written from it by
\`node --conditions=source packages/tensor/test/onnx/operators-table.ts\`. Each operator is tested against ONNX Runtime.
How importing works, and what is refused, stands in [ONNX out and in](onnx.md).

A node with an attribute that is not listed is refused, because it could mean something else. "Known beforehand" are
constants and what follows from them and from the shapes of the inputs.

| operator | opsets | attributes | limits |
| --- | --- | --- | --- |
${rows.join("\n")}
`;
}

if (process.argv[1] === new URL(import.meta.url).pathname) await writeFile(tableFile, operatorsPage());
