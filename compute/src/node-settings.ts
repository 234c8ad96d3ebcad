import type { Environment } from '@hotloop/platform/config.ts';
import type { ComputeSettings } from '@hotloop/platform/start-up/settings.ts';
import { deviceEnvironment } from './runner/device-environment.ts';
import type { ComputeOptions } from './service.ts';

const MB = 1024 ** 2;

export type NodeSettings = Pick<
  ComputeSettings,
  | 'HOTLOOP_EXECUTION_PROVIDERS'
  | 'HOTLOOP_MEMORY_BUDGET_MB'
  | 'HOTLOOP_JOURNAL_MAX_MB'
  | 'HOTLOOP_IDLE_UNLOAD_MS'
  | 'HOTLOOP_HANG_MS'
>;

/**
 * Maps the settings to options of compute. Settings that are not set are left out, so that the defaults apply. The
 * paths and indices of devices come from the environment.
 */
export function nodeOptions(
  settings: NodeSettings,
  environment: Environment,
): Pick<ComputeOptions, 'fleet' | 'journal'> {
  const {
    HOTLOOP_EXECUTION_PROVIDERS: executionProviders,
    HOTLOOP_MEMORY_BUDGET_MB: memoryMb,
    HOTLOOP_JOURNAL_MAX_MB: journalMb,
    HOTLOOP_HANG_MS: hangMs,
    HOTLOOP_IDLE_UNLOAD_MS: idleUnloadMs,
  } = settings;
  return {
    fleet: {
      deviceEnvironment: deviceEnvironment(environment),
      ...(executionProviders === undefined ? {} : { executionProviders }),
      ...(memoryMb === undefined ? {} : { memoryBudgetBytes: memoryMb * MB }),
      ...(hangMs === undefined ? {} : { hangMs }),
      ...(idleUnloadMs === undefined ? {} : { idleUnloadMs }),
    },
    journal: journalMb === undefined ? {} : { maxBytes: journalMb * MB },
  };
}
