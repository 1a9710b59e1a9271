/** Deep enough to leave the engine from an operation that is made of others. */
const FRAMES = 10;

/** Where the engine's own code lies; frames there are not the caller's. Unknown when bundled with the caller's code. */
const ENGINE = /\/core\/origin\.[jt]s(\?|$)/.test(import.meta.url)
  ? decodeURIComponent(new URL("..", import.meta.url).pathname)
  : undefined;

/** V8, which captures a stack without writing it out. Other engines have `stack` only. */
interface StackCapture {
  captureStackTrace?(target: object, below?: unknown): void;
  stackTraceLimit?: number;
}
const capture: StackCapture = Error;

/** A place in the caller's code: where an operation was applied. Written out only when an error asks for it. */
export class Origin {
  /** For operations of a gradient: the operation whose gradient it is. */
  readonly gradientOf: string | undefined;
  readonly #captured: { readonly stack?: string };

  constructor(captured: { readonly stack?: string }, gradientOf?: string) {
    this.#captured = captured;
    this.gradientOf = gradientOf;
  }

  /** The same place, for operations that the gradient of `operation` is made of. */
  asGradientOf(operation: string): Origin {
    return new Origin(this.#captured, this.gradientOf ?? operation);
  }

  /** Frames outside the engine, innermost first: "file:line:column". */
  get frames(): readonly string[] {
    return callerFrames(this.#captured.stack ?? "");
  }

  /** The innermost frame outside the engine. */
  get place(): string | undefined {
    return this.frames[0];
  }
}

/** Places of a stack that lie outside the engine and the platform, innermost first. */
export function callerFrames(stack: string): string[] {
  if (ENGINE === undefined) return [];
  return stack.split("\n").flatMap((line) => {
    const place = /(?:^\s*at |\(|@)((?:[a-z]+:\/\/)?[^()]*?:\d+:\d+)\)?\s*$/i.exec(line)?.[1];
    if (place === undefined || place.startsWith("node:")) return [];
    const path = place.startsWith("file://") ? decodeURIComponent(place.slice("file://".length)) : place;
    return path.includes(ENGINE) ? [] : [path.replace(/^async /, "")];
  });
}

let inherited: Origin | undefined;
let tracking = ENGINE !== undefined;

/**
 * Whether operations remember where they were applied, which errors then name. Default: true, except where the engine
 * is bundled with other code. Costs some 6 µs for each operation that is called directly (those of gradients share
 * the places of their operations): 3 ms for a transformer step whose compilation takes 400.
 */
export function trackOrigins(on: boolean): void {
  tracking = on && ENGINE !== undefined;
}

/** Runs `make`, whose operations all get this origin instead of their own. */
export function withOrigin<T>(origin: Origin | undefined, make: () => T): T {
  const before = inherited;
  inherited = origin;
  try {
    return make();
  } finally {
    inherited = before;
  }
}

/**
 * The origin of an operation that is applied now.
 *
 * @param below  function whose callers count
 */
export function currentOrigin(below?: unknown): Origin {
  if (inherited) return inherited;
  const captured: { readonly stack?: string } = {};
  if (!tracking) return new Origin(captured);
  if (!capture.captureStackTrace) return new Origin(new Error());
  const limit = capture.stackTraceLimit;
  capture.stackTraceLimit = FRAMES;
  capture.captureStackTrace(captured, below ?? currentOrigin);
  if (limit !== undefined) capture.stackTraceLimit = limit;
  return new Origin(captured);
}
