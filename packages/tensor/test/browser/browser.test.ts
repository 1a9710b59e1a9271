import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bundle, type Files, readOrtFiles, serve } from "../../../../examples/browser-training/serve.ts";
import { engineSize, exampleSize } from "../../../../examples/browser-training/sizes.ts";
import type { Device } from "../../src/index.ts";
import { runtime } from "../../src/runtime/node.ts";
import { hasBrowser, launchBrowser } from "./browser.ts";
import type { Request, TrainingReply } from "./page.ts";
import { STEPS, type TrainingName, trainings } from "./trainings.ts";

const names = Object.keys(trainings) as TrainingName[];
/** Starting WebGPU's software adapter and translating the first shaders takes long. */
const WEBGPU_MS = 240_000;

interface Answer {
  readonly ok?: unknown;
  readonly error?: string;
  readonly device?: Device | null;
}

function ask(page: Page, request: Request): Promise<Answer> {
  return page.evaluate<Answer>(`answer(${JSON.stringify(request)})`);
}

function askWorker(page: Page, request: Request): Promise<Answer> {
  return page.evaluate<Answer>(`new Promise((resolve, reject) => {
    const worker = new Worker("/worker.js", { type: "module" });
    worker.onmessage = ({ data }) => { worker.terminate(); resolve(data); };
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(${JSON.stringify(request)});
  })`);
}

async function openPage(browser: Browser, url: string): Promise<{ page: Page; complaints: string[] }> {
  const page = await (await browser.newContext()).newPage();
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(url);
  await page.waitForFunction("globalThis.answer");
  return { page, complaints };
}

function losses(answer: Answer): TrainingReply {
  expect(answer.error).toBeUndefined();
  return answer.ok as TrainingReply;
}

/** Budgets of docs/runtimes.md: kilobytes after minifying and gzip. */
const [ENGINE_KB, EXAMPLE_KB] = [150, 60];

it("the engine bundles for browsers, within its budget", async () => {
  expect((await engineSize()).gzipped / 1000).toBeLessThan(ENGINE_KB);
  expect((await exampleSize()).gzipped / 1000).toBeLessThan(EXAMPLE_KB);
});

describe.skipIf(!hasBrowser)("the engine in a browser", () => {
  const expected = new Map<TrainingName, readonly number[]>();
  let browser: Browser;
  let files: Files;
  let isolated: Awaited<ReturnType<typeof serve>>;
  let plain: typeof isolated;

  const expectSame = (name: TrainingName, found: readonly number[]): void => {
    const wanted = expected.get(name) as readonly number[];
    expect(found).toHaveLength(STEPS);
    const worst = Math.max(...found.map((loss, step) => Math.abs(loss - (wanted[step] as number))));
    expect(worst, `${name}: largest difference to Node`).toBeLessThan(1e-4);
  };

  beforeAll(async () => {
    for (const name of names) expected.set(name, await trainings[name](runtime));
    const here = (name: string) => join(import.meta.dirname, name);
    const html = new TextEncoder().encode(
      '<!doctype html><title>Test</title><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>',
    );
    const scripts = await bundle({ page: here("page.ts"), worker: here("worker.ts") });
    files = new Map([["index.html", html], ...scripts, ...(await readOrtFiles())]);
    isolated = await serve(files);
    plain = await serve(files, { isolated: false });
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await isolated?.close();
    await plain?.close();
  });

  it("the reference trainings learn", () => {
    for (const found of expected.values()) expect(found.at(-1)).toBeLessThan((found[0] as number) - 0.5);
  });

  it("trains to Node's losses on WebAssembly with threads, under a strict content security policy", async () => {
    const { page, complaints } = await openPage(browser, isolated.url);
    for (const training of names) {
      const reply = losses(await ask(page, { kind: "train", training, device: "cpu", threads: 2 }));
      expect(reply.description).toMatch(/^onnxruntime-web \d+\.\d+\.\d+ wasm, 2 threads$/);
      expectSame(training, reply.losses);
    }
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it("trains in a Web Worker as in the page", async () => {
    const { page, complaints } = await openPage(browser, isolated.url);
    const reply = losses(
      await askWorker(page, { kind: "train", training: "twoTowers", device: "cpu", threads: 2 }),
    );
    expect(reply.description).toContain("2 threads");
    expectSame("twoTowers", reply.losses);
    expect(complaints).toEqual([]);
    await page.context().close();
  });

  it("takes one thread in a page that is not isolated, and says so when more are asked for", async () => {
    const { page } = await openPage(browser, plain.url);
    const refused = await ask(page, { kind: "train", training: "smallCnn", device: "cpu", threads: 2 });
    expect(refused.error).toMatch(
      /2 threads need SharedArrayBuffer.*Cross-Origin-Opener-Policy: same-origin/,
    );
    const reply = losses(await ask(page, { kind: "train", training: "smallCnn", device: "cpu" }));
    expect(reply.description).toMatch(/wasm, 1 thread$/);
    expectSame("smallCnn", reply.losses);
    const changed = await ask(page, { kind: "train", training: "smallCnn", device: "cpu", threads: 1 });
    expectSame("smallCnn", losses(changed).losses);
    await page.context().close();
  });

  it("says what is missing when ONNX Runtime's files are not served", async () => {
    const scripts = new Map([...files].filter(([name]) => !name.startsWith("ort-wasm")));
    const bare = await serve(scripts);
    const { page } = await openPage(browser, bare.url);
    const answer = await ask(page, { kind: "train", training: "smallCnn", device: "cpu" });
    expect(answer).toMatchObject({ device: "cpu" });
    expect(answer.error).toMatch(/^DeviceError: device 'cpu' cannot start: .*must be served at `assets`/s);
    await page.context().close();
    await bare.close();
  });

  it("trains to Node's losses on WebGPU", { timeout: WEBGPU_MS }, async ({ skip }) => {
    const { page } = await openPage(browser, isolated.url);
    const { ok } = await ask(page, { kind: "devices" });
    const status = (ok as { device: Device; available: boolean; reason?: string }[]).find(
      ({ device }) => device === "webgpu",
    );
    if (status?.available !== true) {
      skip(`The browser's WebGPU does not start here: ${status?.reason}.`);
      return;
    }
    for (const training of names) {
      const reply = losses(await ask(page, { kind: "train", training, device: "webgpu" }));
      expect(reply.description).toContain("webgpu");
      expectSame(training, reply.losses);
    }
    await page.context().close();
  });

  it("refuses WebGPU and CUDA where there is none, with the reason", async () => {
    const other = await launchBrowser({ webgpu: false });
    try {
      const { page } = await openPage(other, isolated.url);
      for (const [device, reason] of [
        [
          "webgpu",
          /^DeviceError: device 'webgpu' cannot start: (this browser offers no|there is no graphics)/,
        ],
        ["cuda", /^DeviceError: device 'cuda' cannot start: browsers have no CUDA\./],
      ] as const) {
        const answer = await ask(page, { kind: "train", training: "smallCnn", device });
        expect(answer.error).toMatch(reason);
        expect(answer.device).toBe(device);
      }
      const { ok } = await ask(page, { kind: "devices" });
      expect(ok).toMatchObject([
        { device: "cpu", available: true },
        { device: "webgpu", available: false },
        { device: "cuda", available: false },
      ]);
    } finally {
      await other.close();
    }
  });
});
