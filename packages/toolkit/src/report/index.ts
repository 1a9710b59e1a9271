export { intervalText as measureIntervalText, valueText as measureText } from "./format.ts";
export { type ReportInput, renderReport } from "./render.ts";
