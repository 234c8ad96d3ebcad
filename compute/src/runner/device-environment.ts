import type { Environment } from '@hotloop/platform/config.ts';

/** Variables that locate a device's libraries and select devices, as named by CUDA and Vulkan. */
const VARIABLES = [
  'LD_LIBRARY_PATH',
  'CUDA_VISIBLE_DEVICES',
  'CUDA_DEVICE_ORDER',
  'VK_DRIVER_FILES',
  'VK_ICD_FILENAMES',
] as const;

/** The only variables of the service that a runner receives, and only if it uses a device. */
export type DeviceEnvironment = Readonly<Record<string, string>>;

export function deviceEnvironment(environment: Environment): DeviceEnvironment {
  return Object.fromEntries(
    VARIABLES.flatMap((name) => {
      const value = environment[name];
      // An empty CUDA_VISIBLE_DEVICES is kept: it hides all devices.
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
