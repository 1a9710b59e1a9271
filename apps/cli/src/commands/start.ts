import { resolve } from "node:path";
import { type Context, coloursFor } from "../context.ts";
import { ExitCode } from "../errors.ts";

export interface StartOptions {
  readonly port?: number | undefined;
  readonly host?: string | undefined;
  readonly allowHost?: readonly string[] | undefined;
  readonly runs?: string | undefined;
  readonly data?: string | undefined;
  readonly config?: string | undefined;
}

/** What the command line says, in the sections of the settings; what it does not mention is left out. */
function givenSettings({ port, host, allowHost, runs, data }: StartOptions) {
  const server = { port, host, allowHosts: allowHost };
  const folders = { runs: runs && resolve(runs), folder: data && resolve(data) };
  const given = (values: object) =>
    Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
  return { server: given(server), data: given(folders) };
}

/** Serves the site until somebody asks it to stop. */
export async function startServer(context: Context, options: StartOptions): Promise<ExitCode> {
  const settings = await context.loadSettings({
    file: options.config ?? context.env.CONCORD_CONFIG,
    env: context.env,
    over: givenSettings(options),
  });
  let stop = () => {};
  const stopped = new Promise<void>((done) => {
    stop = done;
  });
  const end = context.onStopRequest(stop);
  try {
    const site = await context.startSite({ settings, command: context.self });
    const colours = coloursFor(context.stdout, context.env);
    const { runs, folder } = settings.data;
    context.stdout.write(
      `Concord is at ${colours.bold(colours.cyan(site.url))}\nPapers and people are kept in ${resolve(folder)}, runs in ${resolve(runs)}\nCtrl-C stops it; a run under way goes on at the next start.\n`,
    );
    await stopped;
    context.stderr.write("Stopping.\n");
    await site.close();
  } finally {
    end();
  }
  return ExitCode.done;
}
