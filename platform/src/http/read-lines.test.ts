import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readLines } from './read-lines.ts';

async function* chunksOf(text: string, size: number) {
  const bytes = Buffer.from(text);
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

async function linesOf(text: string, size = 3, maxBytes = 100) {
  const lines: [number, string][] = [];
  for await (const { number, bytes } of readLines(chunksOf(text, size), maxBytes))
    lines.push([number, Buffer.from(bytes).toString()]);
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

  it('are refused if one is too long, with its number', async () => {
    await expect(linesOf(`ok\n${'x'.repeat(101)}\n`)).rejects.toThrow('line 2 has more than 100 bytes');
    await expect(linesOf(`ok\n${'x'.repeat(101)}`, 200)).rejects.toThrow('line 2');
  });
});
