import { describe, expect, it } from 'vitest';
import { Closing } from './closing.ts';

describe('closing', () => {
  it('runs the steps in reverse order, one after the other', async () => {
    const closing = new Closing();
    const seen: string[] = [];
    for (const name of ['store', 'journal', 'server'])
      closing.defer(name, async () => {
        seen.push(`${name} begins`);
        await new Promise((resolve) => setImmediate(resolve));
        seen.push(`${name} ends`);
      });
    await closing.close(1000);
    expect(seen).toEqual(
      ['server', 'journal', 'store'].flatMap((name) => [`${name} begins`, `${name} ends`]),
    );
  });

  it('continues after a step that throws, rejects or never ends', async () => {
    const closing = new Closing();
    const seen: string[] = [];
    closing.defer('last', () => seen.push('last'));
    closing.defer('hangs', () => new Promise(() => undefined));
    closing.defer('rejects', () => Promise.reject(new Error('no')));
    closing.defer('throws', () => {
      throw new Error('no');
    });
    const results = await closing.close(30);
    expect(results.map(({ name, outcome }) => [name, outcome])).toEqual([
      ['throws', 'failed'],
      ['rejects', 'failed'],
      ['hangs', 'late'],
      ['last', 'late'],
    ]);
    expect(seen).toEqual(['last']);
  });

  it('happens once, however often it is called', async () => {
    const closing = new Closing();
    let count = 0;
    closing.defer('x', () => count++);
    const [first, second] = await Promise.all([closing.close(100), closing.close(100)]);
    await closing.close(100);
    expect(second).toBe(first);
    expect(count).toBe(1);
  });

  it('tells a step by its signal that the deadline has passed', async () => {
    const closing = new Closing();
    const told = Promise.withResolvers<string>();
    closing.defer('x', (signal) => {
      signal.addEventListener('abort', () => told.resolve(signal.reason.name));
      return new Promise(() => undefined);
    });
    await closing.close(10);
    expect(await told.promise).toBe('TimeoutError');
  });

  it('rejects new steps once it has started', async () => {
    const closing = new Closing();
    await closing.close(10);
    expect(() => closing.defer('late', () => undefined)).toThrow(
      expect.objectContaining({ code: 'FAILED_PRECONDITION' }),
    );
  });

  it('returns the resource that it disposes of', async () => {
    const seen: string[] = [];
    {
      await using closing = new Closing();
      closing.use('thing', { [Symbol.asyncDispose]: async () => void seen.push('disposed') });
    }
    expect(seen).toEqual(['disposed']);
  });
});
