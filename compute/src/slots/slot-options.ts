import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import type { DeviceEnvironment } from '../runner/device-environment.ts';
import type { ExecutionProvider } from '../runner/load-options.ts';

export interface SlotOptions {
  /** Loading, and then the first run of each runner, may take so long each. */
  readonly loadTimeoutMs: number;
  /** Memory of one runner, where the manifest sets none. */
  readonly memoryLimitBytes: number;
  /** What models run on, where the manifest names nothing. */
  readonly executionProviders: readonly ExecutionProvider[];
  /** Given to runners that use a device. */
  readonly deviceEnvironment: DeviceEnvironment;
  readonly warmUpMs: number;
  /** How long a version that is no longer wanted still takes requests that were pinned to it. */
  readonly drainMs: number;
  /** Any later run may take so long; a runner that does not answer is taken for hung and ended. */
  readonly hangMs: number;
  readonly batchTargetUs: number;
  readonly retryMs: number;
  readonly maxRetryMs: number;
  /** A version that has been ready for so long has made up for its failures. */
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

/** What a version runs on: what its manifest names, else what the node does. */
export function executionProvidersOf(
  { manifest }: VersionRecord,
  options: SlotOptions,
): readonly ExecutionProvider[] {
  return manifest.runtime.execution_providers ?? options.executionProviders;
}
