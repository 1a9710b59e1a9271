import { describe } from "vitest";
import { property } from "./support/property.ts";
import { checkDerivatives, checkPrecisions } from "./support/random-graph-check.ts";
import { randomPrograms } from "./support/random-graph-uses.ts";

const smooth = { float: "float64", derivatives: true } as const;

describe("random programs", () => {
  property("have the gradients of finite differences", 150, [randomPrograms(smooth)], (program) =>
    checkDerivatives(program, "float64"),
  );

  property(
    "have them in float32 too, with the operations that have no other kernel",
    100,
    [randomPrograms({ float: "float32", derivatives: true, longest: 4 })],
    (program) => checkDerivatives(program, "float32"),
  );

  property(
    "give in float32 what they give in float64",
    80,
    [randomPrograms({ float: "float64" })],
    checkPrecisions,
  );
});
