import { openRuntime, parseDevice, setDefaultRuntime } from "@concord/tensor";

/**
 * Does all work in graphs on a device; without one, on the default.
 *
 * @throws RangeError when there is no such device, DeviceError when it cannot start
 */
export async function onDevice<T>(device: string | undefined, work: () => Promise<T>): Promise<T> {
  if (device === undefined) return work();
  const before = setDefaultRuntime(await openRuntime({ device: parseDevice(device, "device") }));
  try {
    return await work();
  } finally {
    setDefaultRuntime(before);
  }
}
