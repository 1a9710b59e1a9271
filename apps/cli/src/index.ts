export { runCli } from "./cli.ts";
export type { Context, Output, Papers } from "./context.ts";
export { ExitCode } from "./errors.ts";
