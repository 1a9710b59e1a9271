import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const executablePath = process.env.CHROMIUM_PATH ?? "/usr/bin/chromium";

/** Whether there is a browser to test with; says so once when there is none. */
export const hasBrowser = existsSync(executablePath);
if (!hasBrowser) {
  console.log(
    `Browser tests are skipped: there is no Chromium at ${executablePath}; CHROMIUM_PATH names another place.`,
  );
}

/** Chromium with WebGPU on its software adapter: correct, but slow. */
export function launchBrowser(options: { readonly webgpu: boolean } = { webgpu: true }): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...(options.webgpu
        ? ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"]
        : ["--disable-gpu"]),
    ],
  });
}
