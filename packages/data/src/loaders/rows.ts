/** A row of a user's file that cannot be used, and why. */
export interface RowProblem {
  readonly file: string;
  /** Line of the file, from 1; in JSON files the number of the record; 0 where there is no line, e.g. a folder. */
  readonly line: number;
  readonly reason: string;
  /** The offending value, shortened. */
  readonly value: string;
}

/** An image with one of its captions, as a file states it. */
export interface PairRow {
  /** Path of the image relative to the image folder or archive. */
  readonly image: string;
  readonly caption: string;
  /** Further columns. */
  readonly labels: ReadonlyMap<string, string>;
  readonly file: string;
  readonly line: number;
}

/** Rows of one file, read one after another; `report` is called for each row that cannot be used. */
export interface PairSource {
  readonly file: string;
  rows(report: (problem: RowProblem) => void): AsyncIterable<PairRow>;
}

/** A row that cannot be used, in strict mode. */
export class RowError extends Error {
  override readonly name = "RowError";
  readonly problem: RowProblem;

  constructor(problem: RowProblem) {
    super(describeProblem(problem));
    this.problem = problem;
  }
}

/** `pairs.csv:17: empty caption (value "")` */
export function describeProblem(problem: RowProblem): string {
  const place = problem.line > 0 ? `${problem.file}:${problem.line}` : problem.file;
  return `${place}: ${problem.reason} (value ${JSON.stringify(problem.value)})`;
}

const maxValueCharacters = 200;

/** A value for a problem record: text as it is, anything else as JSON, at most 200 characters. */
export function shownValue(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
  return text.length <= maxValueCharacters ? text : `${text.slice(0, maxValueCharacters - 1)}…`;
}

/** At most this many problems are kept as records; all are counted. */
const maxRecords = 1000;

/** What was wrong with the rows of a file. */
export interface RowProblems {
  /** Number of rows that were skipped. */
  readonly count: number;
  readonly countByReason: Readonly<Record<string, number>>;
  /** The first 1000 of them. */
  readonly records: readonly RowProblem[];
}

/** Counts problems, or throws the first one in strict mode. */
export class ProblemLog implements RowProblems {
  count = 0;
  readonly records: RowProblem[] = [];
  readonly #reasons = new Map<string, number>();
  readonly #strict: boolean;

  constructor(strict: boolean) {
    this.#strict = strict;
  }

  get countByReason(): Record<string, number> {
    return Object.fromEntries(this.#reasons);
  }

  /** @throws RowError in strict mode */
  add(problem: RowProblem): void {
    if (this.#strict) throw new RowError(problem);
    this.count++;
    this.#reasons.set(problem.reason, (this.#reasons.get(problem.reason) ?? 0) + 1);
    if (this.records.length < maxRecords) this.records.push(problem);
  }
}
