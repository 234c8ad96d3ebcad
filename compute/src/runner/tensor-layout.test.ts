import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { firstNonFinite } from './tensor-layout.ts';

describe('finding non-finite values', () => {
  it('agrees with the language for 32 and 64 bits, also where the bytes are not aligned', () => {
    fc.assert(
      fc.property(fc.array(fc.float()), fc.boolean(), (values, shifted) => {
        const bytes = Buffer.alloc(values.length * 4 + 1);
        for (const [index, value] of values.entries()) bytes.writeFloatLE(value, index * 4 + Number(shifted));
        const contents = bytes.subarray(Number(shifted), values.length * 4 + Number(shifted));
        expect(firstNonFinite({ datatype: 'FP32', contents })).toBe(
          values.findIndex((value) => !Number.isFinite(value)),
        );
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.double()), (values) => {
        const contents = new Uint8Array(Float64Array.from(values).buffer);
        expect(firstNonFinite({ datatype: 'FP64', contents })).toBe(
          values.findIndex((value) => !Number.isFinite(value)),
        );
      }),
    );
  });

  it('supports the 16-bit formats, and treats integers as finite', () => {
    const half = (...bits: number[]) => new Uint8Array(Uint16Array.from(bits).buffer);
    expect(firstNonFinite({ datatype: 'FP16', contents: half(0x3c00, 0x7bff, 0x7c00) })).toBe(2);
    expect(firstNonFinite({ datatype: 'FP16', contents: half(0xfbff, 0xfe01) })).toBe(1);
    expect(firstNonFinite({ datatype: 'BF16', contents: half(0x3f80, 0x7f7f, 0xff80) })).toBe(2);
    expect(firstNonFinite({ datatype: 'INT64', contents: new Uint8Array(16).fill(0xff) })).toBe(-1);
  });
});
