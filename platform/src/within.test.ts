import { MINUTE_MS } from '@hotloop/proto/time-units.ts';
import { describe, expect, it } from 'vitest';
import { within } from './within.ts';

const never = new Promise<string>(() => undefined);

describe('waiting with a deadline', () => {
  it('returns the value of the promise, or its error', async () => {
    expect(await within(Promise.resolve('done'), MINUTE_MS, () => 'late')).toBe('done');
    await expect(within(Promise.reject(new Error('no')), MINUTE_MS, () => 'late')).rejects.toThrow('no');
  });

  it('returns or throws as the caller chose after the timeout', async () => {
    expect(await within(never, 1, () => null)).toBeNull();
    const late = within(never, 1, () => {
      throw new RangeError('too late');
    });
    await expect(late).rejects.toThrow(RangeError);
  });

  it('ignores an error that occurs afterwards', async () => {
    const { promise, reject } = Promise.withResolvers<string>();
    expect(await within(promise, 1, () => 'late')).toBe('late');
    reject(new Error('afterwards'));
  });
});
