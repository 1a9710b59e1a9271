import { type NDArray, normalArray, randomKey } from "@concord/tensor";
import { describe, expect, it } from "vitest";
import { hasRecipe, listRecipes, loadRecipe, NoRecipeError } from "../catalogue.ts";
import type { RecipeContext, RecipeTower } from "./contract.ts";
import { describeRange, flagName, RecipeOptionError, resolveOptions } from "./options.ts";

const options = {
  alpha: { type: "number", default: 0.5, minimum: 0, maximum: 1, description: "d", source: "s" },
  layers: { type: "integer", default: 2, minimum: 1, description: "d", source: "s" },
  logits: { type: "choice", choices: ["raw", "cosine"], default: "raw", description: "d", source: "s" },
  decay: { type: "flag", default: false, description: "d", source: "s" },
} as const;

describe("resolveOptions", () => {
  it("takes defaults, numbers and texts of a command line", () => {
    expect(resolveOptions(options)).toEqual({ alpha: 0.5, layers: 2, logits: "raw", decay: false });
    expect(
      resolveOptions(options, { alpha: "2.5e-1", layers: "3", logits: "cosine", decay: "true" }),
    ).toEqual({
      alpha: 0.25,
      layers: 3,
      logits: "cosine",
      decay: true,
    });
  });

  it.each([
    [{ alpha: "" }, "--alpha must be a number from 0 to 1"],
    [{ alpha: "0x1" }, "--alpha must be"],
    [{ alpha: 1.01 }, "--alpha must be"],
    [{ alpha: Number.NaN }, "--alpha must be"],
    [{ layers: 2.5 }, "--layers must be an integer from 1"],
    [{ logits: "dot" }, "--logits must be one of raw, cosine"],
    [{ decay: "yes" }, "--decay must be true or false"],
    [{ lambdaRafa: 1 }, "no option --lambda-rafa; it has --alpha, --layers, --logits, --decay"],
  ])("refuses %j", (given, message) => {
    expect(() => resolveOptions(options, given)).toThrow(RecipeOptionError);
    expect(() => resolveOptions(options, given)).toThrow(message);
  });
});

it("flags are spelt as on command lines", () => {
  expect(flagName("lambdaRafa")).toBe("lambda-rafa");
});

function towerOf(name: string, width: number, anchor: boolean): RecipeTower {
  const mean = { dtype: "float32", shape: [width], data: new Float32Array(width) } as const;
  return { name, width, anchor, statistics: { mean, meanNorm: 2, unit: false } };
}

describe("every recipe of the catalogue", () => {
  it("is found by its paper, and a paper without one says which there are", async () => {
    const slugs = await listRecipes();
    expect(slugs).toEqual(
      expect.arrayContaining(["clip-refine", "languagebind", "prompthash", "whitenedcse"]),
    );
    for (const slug of slugs) expect(await hasRecipe(slug)).toBe(true);
    const none = ["cra", "alice"].find((slug) => !slugs.includes(slug));
    if (none) {
      await expect(loadRecipe(none)).rejects.toThrow(NoRecipeError);
      await expect(loadRecipe(none)).rejects.toThrow("clip-refine");
    }
    await expect(loadRecipe("clip-refyne")).rejects.toThrow("Did you mean clip-refine?");
  });

  it("keeps to the contract: options in their ranges, settings for each way of training, one width out", async () => {
    const width = 12;
    for (const slug of await listRecipes()) {
      const recipe = await loadRecipe(slug);
      expect(recipe.slug).toBe(slug);
      expect(recipe.summary, slug).toMatch(/\.$/);
      const values = resolveOptions(recipe.options);
      // A default must be a value that a user may give.
      expect(resolveOptions(recipe.options, values), slug).toEqual(values);
      for (const option of Object.values(recipe.options)) {
        expect(describeRange(option).length, slug).toBeGreaterThan(0);
        expect(option.description.length * option.source.length, slug).toBeGreaterThan(0);
      }
      for (const train of recipe.needs.train)
        expect(recipe.training[train]?.source, `${slug} ${train}`).toBeTruthy();
      const names = recipe.needs.towers === "one" ? ["text"] : ["text", "image"];
      const context: RecipeContext = {
        options: values,
        towers: names.map((name, i) => towerOf(name, width, recipe.needs.towers === "anchored" && i === 0)),
        train: recipe.needs.train[0] ?? "head",
        items: 64,
        labels: null,
        batchSize: 32,
        stepsPerEpoch: 2,
        steps: 10,
      };
      recipe.check?.(context);
      const { compile } = await import("@concord/tensor");
      const params = recipe.init(randomKey(1), context);
      const features = normalArray(randomKey(2), [5, width]);
      const widths = new Set<number>();
      for (const tower of context.towers) {
        const embed = compile((p: unknown, x: never) => recipe.embed(p, x, tower, context));
        const { shape, data } = (await embed(params as never, features as never)) as NDArray;
        await embed.close();
        expect(Array.from(data, Number).every(Number.isFinite), slug).toBe(true);
        expect(shape[0]).toBe(5);
        widths.add(shape[1] as number);
      }
      expect(widths.size, slug).toBe(1);
    }
  });
});
