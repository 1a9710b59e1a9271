import type { AdaptProgress } from "@concord/toolkit";
import type { Context } from "./context.ts";
import { RedrawnLine } from "./redrawn-line.ts";
import { adaptLine } from "./render/adapt.ts";
import { printable } from "./render/text.ts";

/** Shows how an adaptation goes on. */
export class AdaptDisplay extends RedrawnLine {
  readonly #shown: { progress: AdaptProgress };

  constructor(context: Pick<Context, "stderr" | "env">) {
    const shown: { progress: AdaptProgress } = { progress: { phase: "reading", done: 0, total: 0 } };
    super(context, (style) => adaptLine(shown.progress, style));
    this.#shown = shown;
  }

  observe(progress: AdaptProgress): void {
    this.#shown.progress = progress;
  }

  override print(line: string): void {
    super.print(printable(line));
  }
}
