import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readLines } from './read-lines.ts';

async function* chunksOf(text: string, size: number) {
  const bytes = Buffer.from(text);
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

async function linesOf(text: string, size = 3, maxBytes = 100) {
  const lines: [number, string | undefined][] = [];
  for await (const { number, bytes } of readLines(chunksOf(text, size), maxBytes))
    lines.push([number, bytes && Buffer.from(bytes).toString()]);
  return lines;
}

describe('lines of a stream', () => {
  it('are the same wherever the stream is split', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('a', 'bc', 'é', '\n', '\r\n')),
        fc.integer({ min: 1, max: 9 }),
        async (parts, size) => {
          const text = parts.join('');
          const expected = text
            .split('\n')
            .map((line, index): [number, string] => [index + 1, line.replace(/\r$/, '')])
            .filter(([, line]) => line !== '');
          expect(await linesOf(text, size)).toEqual(expected);
        },
      ),
    );
  });

  it('have no content where they are too long; the others have', async () => {
    for (const size of [3, 100, 200, 1000]) {
      const text = `ok\n${'x'.repeat(101)}\n${'y'.repeat(100)}\r\n${'z'.repeat(500)}`;
      expect(await linesOf(text, size, 101), String(size)).toEqual([
        [1, 'ok'],
        [2, 'x'.repeat(101)],
        [3, 'y'.repeat(100)],
        [4, undefined],
      ]);
      expect((await linesOf(text, size, 100)).map(([, line]) => line)).toEqual(['ok', ...Array(3)]);
    }
  });
});
