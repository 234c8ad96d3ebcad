import type { VersionRecord } from '@hotloop/platform/registry/snapshot.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { SlotOptions } from './slot-options.ts';

const MB = 1024 ** 2;

/** The memory that one runner of a version may use: its manifest's limit, or the node's. */
export function memoryLimitBytes({ manifest }: VersionRecord, options: SlotOptions): number {
  const limit = manifest.runtime.memory_limit_mb;
  return limit === undefined ? options.memoryLimitBytes : limit * MB;
}

/** Why a runner is killed that exceeds its memory limit; undefined when it does not. */
export function overMemoryLimit(memoryBytes: number, limitBytes: number): HotloopError | undefined {
  if (memoryBytes <= limitBytes) return undefined;
  const [taken, allowed] = [Math.ceil(memoryBytes / MB), Math.floor(limitBytes / MB)];
  return new HotloopError(
    'RESOURCE_EXHAUSTED',
    `its runner takes ${taken} MB of memory and may take ${allowed} MB: raise runtime.memory_limit_mb, or use a smaller model ` +
      'or smaller batches (runtime.max_batch)',
    { reason: 'memory_limit' },
  );
}
