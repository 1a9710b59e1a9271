import { z } from "zod";

// The limits of figures.ts, for what an arm hands over and for what a run's folder says.

export const MAX_FIGURES = 8;
const MAX_SERIES = 8;
const MAX_POINTS = 2000;

/** Titles, labels, captions of pictures. */
export const figureText = z.string().max(200);
const figureId = z
  .string()
  .max(60)
  .regex(/^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$/, "expected letters, digits and single dashes");
export const figureFrame = {
  id: figureId,
  title: figureText.min(1),
  caption: z.string().max(1000),
};

/** Far from where sums and differences are infinite. */
const number = z.number().min(-1e300).max(1e300);

const range = z
  .tuple([number, number])
  .refine(([low, high]) => low < high, "expected the smaller number first");
const axis = z
  .object({
    label: figureText,
    scale: z.enum(["linear", "log"]).optional(),
    range: range.optional(),
  })
  .refine(({ scale, range }) => scale !== "log" || range === undefined || range[0] > 0, {
    path: ["range"],
    message: "expected positive numbers on a logarithmic scale",
  });
const points = z.array(z.tuple([number, number])).max(MAX_POINTS);

/** Adds an issue for every list that is not as long as it has to be. */
function expectLength(
  context: z.RefinementCtx,
  path: readonly (string | number)[],
  list: readonly unknown[],
  length: number,
  of: string,
): void {
  if (list.length === length) return;
  context.addIssue({
    code: "custom",
    path: [...path],
    message: `expected one for each of ${length} ${of}, got ${list.length}`,
  });
}

const linesFigure = z.object({
  ...figureFrame,
  kind: z.literal("lines"),
  x: axis,
  y: axis,
  series: z
    .array(z.object({ label: figureText, points, guide: z.boolean().optional() }))
    .min(1)
    .max(MAX_SERIES),
});

const pointsFigure = z
  .object({
    ...figureFrame,
    kind: z.literal("points"),
    x: axis,
    y: axis,
    series: z
      .array(
        z.object({
          label: figureText,
          points,
          labels: z.array(figureText).optional(),
          joined: z.boolean().optional(),
        }),
      )
      .min(1)
      .max(MAX_SERIES),
  })
  .superRefine(({ series }, context) => {
    for (const [index, { points, labels }] of series.entries())
      if (labels) expectLength(context, ["series", index, "labels"], labels, points.length, "points");
  });

const barsFigure = z
  .object({
    ...figureFrame,
    kind: z.literal("bars"),
    categories: z.array(figureText).min(1).max(128),
    y: axis,
    series: z
      .array(z.object({ label: figureText, values: z.array(number) }))
      .min(1)
      .max(MAX_SERIES),
  })
  .superRefine(({ categories, series }, context) => {
    for (const [index, { values }] of series.entries())
      expectLength(context, ["series", index, "values"], values, categories.length, "categories");
  });

const matrixFigure = z
  .object({
    ...figureFrame,
    kind: z.literal("matrix"),
    rows: z.array(figureText).min(1).max(64),
    columns: z.array(figureText).min(1).max(64),
    values: z.array(z.array(number.nullable())),
    range,
    label: figureText,
    digits: z.int().min(0).max(10),
  })
  .superRefine(({ rows, columns, values }, context) => {
    expectLength(context, ["values"], values, rows.length, "rows");
    for (const [index, row] of values.entries())
      expectLength(context, ["values", index], row, columns.length, "columns");
  });

/** Every kind but galleries, which look otherwise when they are saved. */
export const plottedFigure = z.discriminatedUnion("kind", [
  linesFigure,
  pointsFigure,
  barsFigure,
  matrixFigure,
]);

/** Adds an issue for an id that comes twice. */
export function distinctIds(figures: readonly { readonly id: string }[], context: z.RefinementCtx): void {
  const ids = new Set<string>();
  for (const [index, { id }] of figures.entries()) {
    // Case alone does not tell files apart on every system.
    const key = id.toLowerCase();
    if (ids.has(key)) {
      context.addIssue({
        code: "custom",
        path: [index, "id"],
        message: `expected ids that differ, got '${id}' twice`,
      });
    }
    ids.add(key);
  }
}

const side = z.int().min(1).max(256);

/** A gallery as an arm hands it over. */
export const galleryFigure = z.object({
  ...figureFrame,
  kind: z.literal("gallery"),
  rows: z
    .array(
      z.object({
        label: figureText,
        items: z
          .array(
            z.object({
              caption: figureText,
              picture: z
                .object({
                  width: side,
                  height: side,
                  channels: z.union([z.literal(1), z.literal(3)]),
                  data: z.instanceof(Uint8Array),
                })
                .superRefine(({ width, height, channels, data }, context) => {
                  if (data.length === width * height * channels) return;
                  context.addIssue({
                    code: "custom",
                    path: ["data"],
                    message: `expected ${width} · ${height} · ${channels} samples, got ${data.length}`,
                  });
                }),
            }),
          )
          .max(16),
      }),
    )
    .min(1)
    .max(24),
});
