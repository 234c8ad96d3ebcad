import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseStrictJson } from './strict-json.ts';

const parse = (text: string) => parseStrictJson(Buffer.from(text));

describe('JSON from external callers', () => {
  it('is parsed as JSON.parse does', () => {
    fc.assert(
      fc.property(fc.json({ noUnicodeString: false }), (text) => {
        fc.pre(!text.includes('__proto__') && text.isWellFormed() && !/\\u[dD][89a-fA-F]/.test(text));
        expect(parse(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it.each([
    ['{"a":1,"b":{"c":1,"c":2}}', 'b.c: the key appears twice'],
    ['{"a":1,"\\u0061":2}', 'a: the key appears twice'],
    ['[{"x":1},{"y":{"__proto__":{}}}]', '1.y.__proto__: this key is not allowed'],
    ['{"\\u005f_proto__":1}', '__proto__: this key is not allowed'],
    ['['.repeat(40), 'nested deeper than 32 levels'],
    ['{"a":'.repeat(5_000_000 / 5), 'nested deeper than 32 levels'],
    ['', 'empty'],
    ['{"a":[{"b":"x\\ud800"}]}', 'a.0.b: contains half of a surrogate pair'],
    ['{"a\\uDC00":1}', 'contains half of a surrogate pair'],
    ['{"a":NaN}', 'not JSON'],
    ['{"a":1', 'not JSON'],
    ['"\\', 'not JSON'],
  ])('refuses %.40s', (text, reason) => {
    expect(() => parse(text)).toThrow(reason);
  });

  it('rejects bytes that are not UTF-8', () => {
    expect(() => parseStrictJson(Buffer.from([0x22, 0xff, 0x22]))).toThrow('UTF-8');
  });

  it('accepts a whole surrogate pair, as bytes or escaped', () => {
    expect(parse('{"a":"\\ud83d\\ude00😀"}')).toEqual({ a: '😀😀' });
  });

  it('allows the same key in two objects, and in a text', () => {
    expect(parse('[{"a":"{\\"a\\":1,\\"a\\":2}"},{"a":2}]')).toHaveLength(2);
  });
});
