import type { Environment } from '@hotloop/platform/config.ts';

/** Where the libraries of a device are, and which devices to use, by CUDA's and Vulkan's own names. */
const VARIABLES = [
  'LD_LIBRARY_PATH',
  'CUDA_VISIBLE_DEVICES',
  'CUDA_DEVICE_ORDER',
  'VK_DRIVER_FILES',
  'VK_ICD_FILENAMES',
] as const;

/** All that a runner gets of its service's environment, and only beside a device. */
export type DeviceEnvironment = Readonly<Record<string, string>>;

export function deviceEnvironment(environment: Environment): DeviceEnvironment {
  return Object.fromEntries(
    VARIABLES.flatMap((name) => {
      const value = environment[name];
      // An empty CUDA_VISIBLE_DEVICES hides all of them.
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
