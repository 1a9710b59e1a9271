import { execFile } from "node:child_process";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { DEVICES, type Device, type DeviceStatus } from "@concord/tensor";

const PROBE_MS = 30_000;
const probe = fileURLToPath(new URL(`./probe-device${extname(import.meta.url)}`, import.meta.url));

function probeDevice(device: Device): Promise<DeviceStatus> {
  const args = [...process.execArgv.filter((flag) => !flag.startsWith("--input-type")), probe, device];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { timeout: PROBE_MS }, (error, stdout, stderr) => {
      const line = stdout.split("\n").find((text) => text.startsWith("{"));
      if (line !== undefined) return resolve(JSON.parse(line) as DeviceStatus);
      const how = error?.killed
        ? `did not start within ${PROBE_MS / 1000} s`
        : error?.signal
          ? `crashed (${error.signal})`
          : `ended without an answer: ${stderr.trim().split("\n").at(-1) ?? ""}`;
      resolve({
        device,
        available: false,
        reason: `the process that tried it ${how}`,
        advice: "Leave --device out to compute on the CPU.",
      });
    });
  });
}

/** Whether each device starts here, each tried in a process of its own. */
export async function probeDevices(): Promise<readonly DeviceStatus[]> {
  return Promise.all(DEVICES.map(probeDevice));
}
