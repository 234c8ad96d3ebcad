import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import type { DeviceEnvironment } from '../runner/device-environment.ts';
import type { ExecutionProvider } from '../runner/load-options.ts';

export interface SlotOptions {
  /** Time limit for loading, and separately for the first run of each runner. */
  readonly loadTimeoutMs: number;
  /** Memory of one runner, if the manifest sets none. */
  readonly memoryLimitBytes: number;
  /** Providers that models run on, if the manifest names none. */
  readonly executionProviders: readonly ExecutionProvider[];
  /** Passed to runners that use a device. */
  readonly deviceEnvironment: DeviceEnvironment;
  readonly warmUpMs: number;
  /** How long a version that is no longer wanted still accepts requests that were pinned to it. */
  readonly drainMs: number;
  /** Time limit for any later run; a runner that exceeds it is treated as hung and killed. */
  readonly hangMs: number;
  readonly batchTargetUs: number;
  readonly retryMs: number;
  readonly maxRetryMs: number;
  /** A version that has been ready for this long is considered recovered from its failures. */
  readonly steadyMs: number;
}

export const SLOT_DEFAULTS: SlotOptions = {
  loadTimeoutMs: 60_000,
  memoryLimitBytes: Number.MAX_SAFE_INTEGER,
  executionProviders: ['cpu'],
  deviceEnvironment: {},
  warmUpMs: 1_000,
  drainMs: 5_000,
  hangMs: 30_000,
  batchTargetUs: 20_000,
  retryMs: 200,
  maxRetryMs: 30_000,
  steadyMs: 10_000,
};

/** The providers that a version runs on: those of its manifest, else those of the node. */
export function executionProvidersOf(
  { manifest }: VersionRecord,
  options: SlotOptions,
): readonly ExecutionProvider[] {
  return manifest.runtime.execution_providers ?? options.executionProviders;
}
