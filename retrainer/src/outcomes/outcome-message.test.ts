import { HotloopError } from '@hotloop/proto/errors.ts';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readOutcomeMessage } from './outcome-message.ts';

const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const EVENT = {
  specversion: '1.0',
  id: 'e1',
  source: 'shop',
  type: 'purchase',
  time: '2024-02-03T04:05:06Z',
};

describe('reading an outcome message', () => {
  it('reads the keys from the fields of data unless keys are given', () => {
    const data = { user: 'u1', item: 7, member: true, list: [1, 2], nothing: null };
    const { report } = readOutcomeMessage(bytes({ ...EVENT, data }), 't');
    expect({ ...report.keys }).toEqual({ user: 'u1', item: '7', member: 'true' });
    expect({ ...report.attributes }).toEqual({
      type: 'purchase',
      user: 'u1',
      item: 7,
      member: true,
      list: [1, 2],
    });
    expect(report).toMatchObject({ id: 'e1', source: 'kafka:t', occurredAt: EVENT.time, value: null });
    const keyed = readOutcomeMessage(bytes({ ...EVENT, data: { ...data, keys: { user: 'u2' } } }), 't');
    expect({ ...keyed.report.keys }).toEqual({ user: 'u2' });
  });

  it("does not let a field of that name replace the event's type", () => {
    const { report } = readOutcomeMessage(bytes({ ...EVENT, data: { type: 'view' } }), 't');
    expect(report.attributes).toMatchObject({ type: 'purchase' });
  });

  it.each([
    ['nothing', null, 'empty'],
    ['no bytes', new Uint8Array(0), 'empty'],
    ['bytes that are not UTF-8', new Uint8Array([0x7b, 0xff, 0x7d]), 'not JSON'],
    ['a list', bytes([EVENT]), 'must be an object'],
    ['another version', bytes({ ...EVENT, specversion: '0.3', data: {} }), 'specversion'],
    ['no id', bytes({ ...EVENT, id: '', data: {} }), 'id is missing'],
    ['a number for an id', bytes({ ...EVENT, id: 5, data: {} }), 'id must be a text'],
    ['no type', bytes({ ...EVENT, type: undefined, data: {} }), 'type is missing'],
    ['no data', bytes(EVENT), 'data must be an object'],
    ['an object for a value', bytes({ ...EVENT, data: { value: { a: 1 } } }), 'data.value'],
    [
      'too many fields',
      bytes({ ...EVENT, data: Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`f${i}`, 1])) }),
      'more than 1000',
    ],
    ['too many bytes', new Uint8Array(1024 * 1024 + 1), 'larger than'],
  ])('refuses %s', (_title, value, reason) => {
    expect(() => readOutcomeMessage(value, 't')).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
    expect(() => readOutcomeMessage(value, 't')).toThrow(reason);
  });

  it('reads any bytes or refuses them with a coded error, without prototype pollution', () => {
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map((text) => new TextEncoder().encode(text)),
      fc.record({ data: fc.object() }).map((change) => bytes({ ...EVENT, ...change })),
    );
    void fc.assert(
      fc.property(anything, (value) => {
        try {
          readOutcomeMessage(value, 't');
        } catch (error) {
          expect(error).toBeInstanceOf(HotloopError);
        }
        expect(Object.keys(Object.prototype)).toEqual([]);
      }),
      { numRuns: 500 },
    );
    const hostile =
      '{"specversion":"1.0","id":"e","source":"s","type":"t","data":{"__proto__":{"x":1},"a":"b"}}';
    const { report } = readOutcomeMessage(new TextEncoder().encode(hostile), 't');
    expect({ ...report.keys }).toEqual({ a: 'b' });
  });
});
