import { join, relative } from "node:path";
// TypeScript 7 has no programming interface yet; the last version that has one reads the sources.
import ts from "typescript-reader";
import type { DocComment } from "./doc-comment.ts";
import { parseDocComment } from "./doc-comment.ts";

export interface Entry {
  readonly name: string;
  readonly kind: "function" | "class" | "type" | "value";
  /** Declaration as TypeScript, without bodies. */
  readonly signature: string;
  readonly doc: DocComment | undefined;
}

/** What one source file exports to users of its package. */
export interface Page {
  readonly package: string;
  /** e.g. packages/tensor/src/ops/gather.ts */
  readonly source: string;
  /** e.g. tensor/ops/gather.md */
  readonly path: string;
  readonly entries: readonly Entry[];
}

/** The text of a declaration, up to `end`, with its own indentation taken off. */
function textOf(node: ts.Node, end = node.getEnd()): string {
  const file = node.getSourceFile();
  const { character } = file.getLineAndCharacterOfPosition(node.getStart());
  const text = file.text.slice(node.getStart(), end).trimEnd();
  return text.replace(new RegExp(`\\n {0,${character}}`, "g"), "\n");
}

function withoutBody(node: ts.FunctionLikeDeclaration): string {
  return textOf(node, node.body?.getStart());
}

function rawComment(node: ts.Node): string | undefined {
  const text = node.getSourceFile().getFullText();
  const ranges = ts.getLeadingCommentRanges(text, node.getFullStart()) ?? [];
  const comment = ranges.map(({ pos, end }) => text.slice(pos, end)).at(-1);
  return comment?.startsWith("/**") ? comment : undefined;
}

function classSignature(node: ts.ClassDeclaration): string {
  const members = node.members.filter(
    (member) =>
      !(member.name && ts.isPrivateIdentifier(member.name)) &&
      !ts.getModifiers(member as ts.HasModifiers)?.some(({ kind }) => kind === ts.SyntaxKind.PrivateKeyword),
  );
  const lines = members.map((member) => {
    const comment = rawComment(member);
    const text = ts.isFunctionLike(member)
      ? withoutBody(member as ts.FunctionLikeDeclaration)
      : textOf(member).replace(/ = [\s\S]*$/, "");
    return `${comment ? `${comment.replace(/\n\s*\*/g, "\n *")}\n` : ""}${text.replace(/;?$/, ";")}`.replace(
      /^/gm,
      "  ",
    );
  });
  const heritage = node.heritageClauses?.map((clause) => ` ${clause.getText()}`).join("") ?? "";
  return `class ${node.name?.text}${heritage} {\n${lines.join("\n")}\n}`;
}

function entryOf(checker: ts.TypeChecker, name: string, node: ts.Declaration): Entry {
  const commented = ts.isVariableDeclaration(node) ? node.parent.parent : node;
  const comment = rawComment(commented);
  const doc = comment === undefined ? undefined : parseDocComment(comment);
  const plain = (text: string): string => text.replace(/^export (default )?/, "");
  if (ts.isFunctionDeclaration(node))
    return { name, kind: "function", signature: plain(withoutBody(node)).replace(/^async /, ""), doc };
  if (ts.isClassDeclaration(node)) return { name, kind: "class", signature: classSignature(node), doc };
  if (ts.isVariableDeclaration(node)) {
    const type = checker.getTypeAtLocation(node);
    const written = node.type?.getText() ?? checker.typeToString(type, node, ts.TypeFormatFlags.NoTruncation);
    const kind = type.getCallSignatures().length > 0 ? "function" : "value";
    return { name, kind, signature: `const ${name}: ${written}`, doc };
  }
  return { name, kind: "type", signature: plain(textOf(node)), doc };
}

/** The public entries of packages, one page for each source file, in the order of their paths. */
export function collectPages(root: string, packages: readonly string[]): Page[] {
  const base = ts.readConfigFile(join(root, "tsconfig.base.json"), ts.sys.readFile).config.compilerOptions;
  const { options } = ts.convertCompilerOptionsFromJson(
    { ...base, customConditions: ["source"], noEmit: true },
    root,
  );
  const entries = packages.map((name) => join(root, "packages", name, "src/index.ts"));
  const program = ts.createProgram(entries, options);
  const checker = program.getTypeChecker();
  return packages.flatMap((name, i) => {
    const file = program.getSourceFile(entries[i] as string);
    const symbol = file && checker.getSymbolAtLocation(file);
    if (!symbol) throw new Error(`packages/${name}/src/index.ts exports nothing`);
    const bySource = new Map<string, { readonly position: number; readonly entry: Entry }[]>();
    for (const exported of checker.getExportsOfModule(symbol)) {
      const target = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      const declaration = target.declarations?.[0];
      if (!declaration) throw new Error(`packages/${name}: '${exported.name}' is declared nowhere`);
      const source = relative(root, declaration.getSourceFile().fileName).replaceAll("\\", "/");
      const list = bySource.get(source) ?? [];
      list.push({ position: declaration.getStart(), entry: entryOf(checker, exported.name, declaration) });
      bySource.set(source, list);
    }
    return [...bySource]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([source, list]) => ({
        package: name,
        source,
        path: source.replace(/^packages\/([^/]+)\/src\//, "$1/").replace(/\.ts$/, ".md"),
        entries: list.sort((a, b) => a.position - b.position).map(({ entry }) => entry),
      }));
  });
}
