// Started by `devices.ts` in a process of its own: a native library that cannot start may print, hang or crash.
import { DeviceError, openRuntime, parseDevice } from "@concord/tensor";

const device = parseDevice(process.argv[2] ?? "", "probe");
try {
  await openRuntime({ device });
  console.log(JSON.stringify({ device, available: true }));
} catch (error) {
  const known = error instanceof DeviceError;
  const reason = known ? error.reason : error instanceof Error ? error.message : String(error);
  console.log(JSON.stringify({ device, available: false, reason, advice: known ? error.advice : "" }));
}
