import type { DeviceStatus } from "@concord/tensor";
import type { Machine } from "./machine.ts";
import type { Finding } from "./self-test.ts";

/** What `concord doctor` found. */
export interface DoctorReport {
  readonly concord: string;
  readonly machine: Machine;
  readonly devices: readonly DeviceStatus[];
  /** The device of the self-test. */
  readonly device: string;
  /** Channels in a block of the CPU's blocked convolution kernels; null where there are none. */
  readonly blockedChannels: number | null;
  readonly selfTest: readonly Finding[];
  /** What keeps Concord from working here; none when it is healthy. */
  readonly problems: readonly string[];
}
