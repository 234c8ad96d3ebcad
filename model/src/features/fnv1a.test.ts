import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fnv1a32 } from './fnv1a.ts';

/** The definition over bytes, with exact integers. */
function definition(text: string): number {
  let hash = 0x811c9dc5n;
  for (const byte of new TextEncoder().encode(text))
    hash = ((hash ^ BigInt(byte)) * 0x01000193n) & 0xffffffffn;
  return Number(hash);
}

describe('fnv1a32', () => {
  it('gives the published values', () => {
    expect(fnv1a32('')).toBe(0x811c9dc5);
    expect(fnv1a32('a')).toBe(0xe40c292c);
    expect(fnv1a32('foobar')).toBe(0xbf9cf968);
  });

  it('equals its definition over UTF-8 for any text, broken surrogates included', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(fnv1a32(text)).toBe(definition(text));
      }),
    );
    for (const text of ['\ud800', '\udc00', '\ud800x', 'x\ud83d', '\ud83d\ud83d\ude00'])
      expect(fnv1a32(text)).toBe(definition(text));
  });
});
