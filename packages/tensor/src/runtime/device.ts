/** Where graphs run: `cpu` is native code in Node and WebAssembly in browsers. */
export const DEVICES = ["cpu", "webgpu", "cuda"] as const;
export type Device = (typeof DEVICES)[number];

/** A device cannot start here. The message says which, why, and what to do; nothing else is tried in its place. */
export class DeviceError extends Error {
  override readonly name = "DeviceError";
  readonly device: Device;
  /** Why, in a few words. */
  readonly reason: string;
  readonly advice: string;

  constructor(device: Device, reason: string, advice: string, options: ErrorOptions = {}) {
    super(`device '${device}' cannot start: ${reason}. ${advice}`, options);
    this.device = device;
    this.reason = reason;
    this.advice = advice;
  }
}

/**
 * The device of this name.
 *
 * @param where  what the name was given as, for the error, e.g. "--device"
 * @throws RangeError when there is none
 */
export function parseDevice(name: string, where: string): Device {
  const device = DEVICES.find((known) => known === name);
  if (!device) throw new RangeError(`${where}: unknown device '${name}'; known: ${DEVICES.join(", ")}`);
  return device;
}
