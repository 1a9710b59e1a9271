export { VectorFileError } from "@concord/data";
export { type DiagnoseOptions, type DiagnoseProgress, type DiagnoseResult, diagnose } from "./diagnose.ts";
export type { VectorInput, VectorPlace } from "./inputs.ts";
export type { LabelInput, LabelList } from "./labels.ts";
export type { PairFile, PairInput } from "./pairs.ts";
