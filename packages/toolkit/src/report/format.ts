import type { Measure } from "@concord/align";

function percentText(share: number): string {
  const value = 100 * share;
  const digits = Math.abs(value) < 9.95 && Math.abs(value - Math.round(value)) >= 0.05 ? 1 : 0;
  return withoutMinusZero(value.toFixed(digits));
}

function numberText(value: number): string {
  const size = Math.abs(value);
  return withoutMinusZero(
    value.toFixed(size >= 100 ? 0 : size >= 9.95 ? 1 : size < 0.0995 && size >= 5e-4 ? 3 : 2),
  );
}

function withoutMinusZero(text: string): string {
  return Number(text) === 0 ? text.replace("-", "") : text;
}

/** A value as `38 %` or `1.24`. */
export function valueText({ value, format }: Pick<Measure, "value" | "format">): string {
  return format === "share" ? `${percentText(value)} %` : numberText(value);
}

/** The 95 % interval as `35 to 41 %`; empty where all rows were counted. */
export function intervalText({ low, high, format }: Pick<Measure, "low" | "high" | "format">): string {
  if (low === high) return "";
  return format === "share"
    ? `${percentText(low)} to ${percentText(high)} %`
    : `${numberText(low)} to ${numberText(high)}`;
}

/** `1,240` */
export function countText(value: number): string {
  return Math.round(value).toLocaleString("en-GB");
}
