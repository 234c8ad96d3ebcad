import { HotloopError } from '@hotloop/proto/errors.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { entriesOf, parseEvent } from './parse-event.ts';

const NOW_MS = Date.UTC(2026, 0, 15, 12);

const event = {
  ...{ specversion: '1.0', id: 'e1', source: '/shop', type: 'view', time: '2026-01-15T11:59:00.250Z' },
  data: { entity: { user: 'u1', item: 'i9' }, price: 12.5 } as Record<string, unknown>,
};

const bytes = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));

function refusal(value: Uint8Array | null): HotloopError {
  try {
    parseEvent(value, NOW_MS);
  } catch (error) {
    if (error instanceof HotloopError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('parseEvent', () => {
  it('creates one entry per entity, with the fields and the ids of all', () => {
    const entries = entriesOf(parseEvent(bytes(event), NOW_MS), 7);
    const fields = { user: 'u1', item: 'i9', price: 12.5 };
    expect(entries.map(({ entity, entityId }) => [entity, entityId])).toEqual([
      ['user', 'u1'],
      ['item', 'i9'],
    ]);
    for (const entry of entries) {
      expect({ ...entry.fields }).toEqual(fields);
      expect(entry).toMatchObject({ event: 'view', atMs: NOW_MS - 59_750, arrivalUs: 7 });
    }
  });

  it('identifies an event by source and id together', () => {
    const idOf = (given: object) => parseEvent(bytes({ ...event, ...given }), NOW_MS).key;
    expect(idOf({})).toBe(idOf({ time: '2026-01-15T11:00:00Z' }));
    expect(idOf({})).not.toBe(idOf({ id: 'e2' }));
    expect(idOf({})).not.toBe(idOf({ source: '/other' }));
  });

  it('ignores values that no feature can name, and unknown attributes', () => {
    const data = {
      entity: { user: 'u' },
      deep: { a: 1 },
      none: null,
      mixed: [1, 'a'],
      tags: ['a'],
      sizes: [1, 2],
    };
    const entry = parseEvent(bytes({ ...event, data, traceparent: 'x', datacontenttype: 'a/b' }), NOW_MS);
    expect({ ...entry.fields }).toEqual({ user: 'u', tags: ['a'], sizes: [1, 2] });
  });

  it('does not confuse field names with inherited object properties', () => {
    const raw = JSON.stringify(event).replace(
      '"price"',
      '"__proto__": {"polluted": true}, "constructor": "c", "price"',
    );
    const entry = parseEvent(bytes(raw), NOW_MS);
    expect(Object.getPrototypeOf(entry.fields)).toBeNull();
    expect(Object.keys(entry.fields).sort()).toEqual(['constructor', 'item', 'price', 'user']);
  });

  const cases: [string, Uint8Array | null, string][] = [
    ['nothing', null, 'empty'],
    ['no bytes', new Uint8Array(), 'empty'],
    ['bytes that are not text', Uint8Array.of(0xff, 0xfe), 'UTF-8'],
    ['text that is not JSON', bytes('{"a":'), 'JSON'],
    ['a list', bytes([event]), 'event'],
    ['another specversion', bytes({ ...event, specversion: '0.3' }), 'specversion'],
    ['no id', bytes({ ...event, id: undefined }), 'id'],
    ['an empty source', bytes({ ...event, source: '' }), 'source'],
    ['a type no feature can name', bytes({ ...event, type: 'com.shop.view' }), 'type'],
    ['a time without offset', bytes({ ...event, time: '2026-01-15T11:59:00' }), 'time'],
    ['a time far ahead', bytes({ ...event, time: '2026-01-15T13:00:00Z' }), 'time'],
    ['no entity', bytes({ ...event, data: { price: 1 } }), 'entity'],
    ['an empty entity map', bytes({ ...event, data: { entity: {} } }), 'entity'],
    ['an id that is a number', bytes({ ...event, data: { entity: { user: 7 } } }), 'data.entity.user'],
    ['a number beyond a double', bytes(JSON.stringify(event).replace('12.5', '1e400')), 'data.price'],
    ['half of a surrogate pair', bytes(JSON.stringify(event).replace('u1', '\\ud800')), 'data.entity.user'],
    ['half of one in a field', bytes({ ...event, data: { ...event.data, note: 'a\udc00' } }), 'data.note'],
    ['very many fields', bytes({ ...event, data: { ...event.data, big: 'x'.repeat(5000) } }), 'data'],
  ];
  it.each(cases)('rejects %s, naming it', (_, value, word) => {
    const error = refusal(value);
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(error.message).toContain(word);
  });

  it('either parses or rejects any bytes, and never crashes', () => {
    const mutated = fc
      .tuple(fc.constant(JSON.stringify(event)), fc.nat(), fc.string({ maxLength: 4 }))
      .map(([text, at, insert]) =>
        bytes(text.slice(0, at % text.length) + insert + text.slice((at + 1) % text.length)),
      );
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.json().map(bytes), mutated), (value) => {
        try {
          expect(parseEvent(value, NOW_MS).key).toHaveLength(22);
        } catch (error) {
          expect(error).toBeInstanceOf(HotloopError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
