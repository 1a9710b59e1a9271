import type { Estimate } from "./finding.ts";

/** 0.383 as `38 %`; with one decimal below 10 %. */
export function percent(share: number): string {
  const value = 100 * share;
  const digits = Math.abs(value) < 9.95 && Math.abs(value - Math.round(value)) >= 0.05 ? 1 : 0;
  return `${plain(value, digits)} %`;
}

/** A number with so many decimals, without the minus sign of a zero; very large ones as `1.2 × 10^37`. */
export function plain(value: number, digits = 2): string {
  if (Math.abs(value) >= 1e9) {
    const [factor, power] = value.toExponential(1).split("e+") as [string, string];
    return `${factor} × 10^${power}`;
  }
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text;
}

/** 1240 as `1,240`. */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en-GB");
}

/** `38 % (95 % interval 35 to 41 %)`. */
export function percentWithInterval({ value, low, high }: Estimate): string {
  return low === high
    ? percent(value)
    : `${percent(value)} (95 % interval ${percent(low)} to ${percent(high)})`;
}

/** `0.38 (95 % interval 0.35 to 0.41)`. */
export function numberWithInterval({ value, low, high }: Estimate, digits = 2): string {
  const own = plain(value, digits);
  return low === high ? own : `${own} (95 % interval ${plain(low, digits)} to ${plain(high, digits)})`;
}

/** A share as so many of a hundred: `38 of 100`; `fewer than 1 of 100` for small ones. */
export function ofHundred(share: number): string {
  const rounded = Math.round(100 * share);
  if (rounded === 0 && share > 0) return "fewer than 1 of 100";
  if (rounded === 100 && share < 1) return "more than 99 of 100";
  return `${rounded} of 100`;
}
