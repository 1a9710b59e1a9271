export interface DocumentFile {
  readonly path: string;
  readonly content: string;
}

const FENCE = /^(?:`([^`\n]+)`( gets the line)?\n\n)?```(\w+)\n([\s\S]*?)^```/gm;

function blocks(page: string) {
  return [...page.matchAll(FENCE)].map(([, path, line, language, code]) => ({
    path,
    appended: line !== undefined,
    language,
    code: code as string,
  }));
}

/** The TypeScript of a page that belongs to no file, in order. */
export function programOf(page: string): string {
  return blocks(page)
    .filter(({ path, language }) => path === undefined && language === "ts")
    .map(({ code }) => code)
    .join("\n");
}

/** The files that a page shows: blocks below a line with nothing but their path. */
export function filesOf(page: string): DocumentFile[] {
  return blocks(page).flatMap(({ path, appended, code }) =>
    path === undefined || appended ? [] : [{ path, content: code }],
  );
}

/** Lines that a page adds to files: blocks below "`path` gets the line". */
export function additionsOf(page: string): DocumentFile[] {
  return blocks(page).flatMap(({ path, appended, code }) =>
    path !== undefined && appended ? [{ path, content: code }] : [],
  );
}

const IMPORT = /^import [\s\S]*? from "[^"]+";$/gm;

/**
 * The blocks of a page that shows fragments, each as a module of its own: with the imports of the page up to there, and
 * the declarations of what stands outside the fragments.
 */
export function fragmentsOf(page: string, context: string): string[] {
  let imports = "";
  return blocks(page)
    .filter(({ path, language }) => path === undefined && language === "ts")
    .map(({ code }) => {
      imports += `${[...code.matchAll(IMPORT)].join("\n")}\n`;
      return `${imports}${context}\nexport async function fragment() {\n${code.replaceAll(IMPORT, "")}}\n`;
    });
}
