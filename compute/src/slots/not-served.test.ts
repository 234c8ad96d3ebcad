import { expect, it } from 'vitest';
import { notServed } from './not-served.ts';
import type { Slot } from './slot.ts';

it.each([
  [{ isEvicted: true, state: 'gone', detail: '', reason: '' }, 'RESOURCE_EXHAUSTED', 'memory_budget'],
  [{ state: 'failed', detail: 'no room', reason: 'memory_budget' }, 'RESOURCE_EXHAUSTED', 'memory_budget'],
  [{ state: 'failed', detail: 'a bad model', reason: '' }, 'UNAVAILABLE', 'version_failed'],
  [{ state: 'loading', detail: 'lost its runner', reason: '' }, 'UNAVAILABLE', 'version_failed'],
  [{ state: 'loading', detail: '', reason: '' }, 'UNAVAILABLE', 'version_not_ready'],
  [undefined, 'NOT_FOUND', 'version_not_loaded'],
])('a version that is %o is refused with %s %s', (slot, code, reason) => {
  const error = notServed('m', 1, slot as Slot | undefined);
  expect(error).toMatchObject({ code, reason, message: expect.stringContaining('m version 1') });
  if (slot?.detail) expect(error.message).toContain(slot.detail);
});
