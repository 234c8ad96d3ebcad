import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CopyRow } from './copy-row.ts';
import { RepeatedFields } from './repeated-fields.ts';

/** Bytes of one field, without its length. */
function fieldOf(write: (row: CopyRow) => void): Buffer {
  const row = new CopyRow(16);
  write(row);
  const bytes = Buffer.from(row.bytes());
  expect(bytes.readInt32BE(0)).toBe(bytes.length - 4);
  return bytes.subarray(4);
}

describe('a row of a binary COPY', () => {
  it('contains a UUID as its sixteen bytes', () => {
    fc.assert(
      fc.property(fc.uuid(), (uuid) => {
        expect(fieldOf((row) => row.uuid(uuid)).toString('hex')).toBe(uuid.replaceAll('-', ''));
        expect(fieldOf((row) => row.uuid(uuid.toUpperCase())).toString('hex')).toBe(uuid.replaceAll('-', ''));
      }),
    );
  });

  it('rejects text that is not a UUID', () => {
    const uuid = '018bcfe5-687b-7000-8000-0123456789ab';
    const wrong = ['', uuid.slice(1), `${uuid}0`, uuid.replaceAll('-', ''), uuid.replace('-', '0')];
    for (let at = 0; at < uuid.length; at++)
      for (const character of ['g', ' ', '\u0130', '\uffff', '/', ':'])
        wrong.push(uuid.slice(0, at) + character + uuid.slice(at + 1));
    for (const text of wrong) expect(() => new CopyRow().uuid(text), text).toThrow(RangeError);
  });

  it('contains a time as microseconds since 2000, also before it', () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 46), max: 2 ** 46 }), (ms) => {
        const expected = BigInt(ms - Date.UTC(2000, 0, 1)) * 1000n;
        expect(fieldOf((row) => row.timestamp(ms)).readBigInt64BE()).toBe(expected);
      }),
    );
  });

  it('contains 32-bit integers of either sign', () => {
    fc.assert(
      fc.property(fc.integer(), (value) => {
        expect(fieldOf((row) => row.int4(value)).readInt32BE()).toBe(value);
      }),
    );
  });
});

describe('repeated fields', () => {
  it('are written as when written one by one', () => {
    const parts = {
      fields: 2,
      isSame: (one: { text: string; number: number }, other: { text: string; number: number }) =>
        one.text === other.text && one.number === other.number,
      write(values: { text: string; number: number }, into: CopyRow) {
        into.text(values.text);
        into.int4(values.number);
      },
      keep: ({ text, number }: { text: string; number: number }) => ({ text, number }),
    };
    const values = fc.record({ text: fc.constantFrom('', 'a', 'b'), number: fc.nat(1) });
    fc.assert(
      fc.property(fc.array(values, { maxLength: 30 }), (rows) => {
        const repeated = new RepeatedFields(parts);
        const [copied, plain] = [new CopyRow(16), new CopyRow(16)];
        for (const row of rows) {
          copied.begin();
          repeated.write(row, copied);
          copied.end(2);
          plain.begin();
          parts.write(row, plain);
          plain.end(2);
        }
        expect(copied.bytes().equals(plain.bytes())).toBe(true);
      }),
    );
  });
});
