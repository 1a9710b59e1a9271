export { countText, intervalText, valueText } from "./format.ts";
export { type ReportInput, renderReport } from "./render.ts";
