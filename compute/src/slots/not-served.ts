import { HotloopError } from '@hotloop/proto/errors.ts';
import type { Slot } from './slot.ts';

/** The error for a version whose load takes longer than its caller may wait. */
export function notInTime(model: string, version: number): HotloopError {
  return new HotloopError(
    'DEADLINE_EXCEEDED',
    `${model} version ${version} is still being loaded; try again`,
    { reason: 'expired' },
  );
}

/** The error for a version that is not served here, from what the node knows about it. */
export function notServed(model: string, version: number, slot: Slot | undefined): HotloopError {
  const name = `${model} version ${version}`;
  if (!slot)
    return new HotloopError('NOT_FOUND', `${name} is not loaded here`, { reason: 'version_not_loaded' });
  if (slot.isEvicted)
    return new HotloopError('RESOURCE_EXHAUSTED', `no memory is free for ${name}; try again later`, {
      reason: 'memory_budget',
    });
  if (slot.reason === 'memory_budget')
    return new HotloopError('RESOURCE_EXHAUSTED', `${name} could not be loaded: ${slot.detail}`, {
      reason: 'memory_budget',
    });
  if (slot.state === 'failed' || slot.detail !== '')
    return new HotloopError('UNAVAILABLE', `${name} could not be loaded: ${slot.detail}`, {
      reason: 'version_failed',
    });
  return new HotloopError('UNAVAILABLE', `${name} is not ready yet; try again`, {
    reason: 'version_not_ready',
  });
}
