import { resolve } from "node:path";
import { type Context, coloursFor, runsFolder } from "../context.ts";
import { ExitCode } from "../errors.ts";

export interface StartOptions {
  readonly port: number;
  readonly host: string;
  readonly allowHost: readonly string[];
  readonly runs?: string | undefined;
}

/** Serves the site until somebody asks it to stop. */
export async function startServer(context: Context, options: StartOptions): Promise<ExitCode> {
  const folder = resolve(runsFolder(options.runs, context.env));
  let stop = () => {};
  const stopped = new Promise<void>((done) => {
    stop = done;
  });
  const end = context.onStopRequest(stop);
  try {
    const site = await context.startSite({
      port: options.port,
      host: options.host,
      hosts: options.allowHost,
      runsFolder: folder,
      command: context.self,
    });
    const colours = coloursFor(context.stdout, context.env);
    context.stdout.write(
      `Concord is at ${colours.bold(colours.cyan(site.url))}\nRuns are kept in ${folder}\nCtrl-C stops it; a run under way goes on at the next start.\n`,
    );
    await stopped;
    context.stderr.write("Stopping.\n");
    await site.close();
  } finally {
    end();
  }
  return ExitCode.done;
}
