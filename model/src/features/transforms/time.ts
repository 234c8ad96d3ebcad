import { parseRfc3339 } from '@hotloop/proto/rfc3339.ts';
import { z } from 'zod';
import { localTime, PARTS } from '../local-time.ts';
import { type Before, transformKind } from './transform-kind.ts';

export const time = transformKind({
  name: 'time',
  schema: z.strictObject({
    time: z.strictObject({
      part: z.enum(['hour', 'weekday', 'month']),
      as: z.enum(['number', 'cyclic']).default('number').describe('cyclic: two columns, sine and cosine'),
      zone: z.string().max(64).default('UTC').describe('An IANA time zone, such as Europe/Berlin'),
    }),
  }),
  documentation:
    'The hour (0 to 23), weekday (0 is Monday) or month (1 to 12) of a moment in a time zone; as a number, or as sine and cosine of its place in the cycle. The moment is a text such as 2026-01-15T12:00:00Z, with an offset, or milliseconds since 1970.',
  example: '{time: {part: hour, as: cyclic, zone: Europe/Berlin}}',
  typeBefore: () => 'text',
  compile({ time: { part, as, zone } }, before) {
    if (before === 'flag' || before === 'texts') throw new RangeError('time needs a text or milliseconds');
    const partOf = localTime(zone, part);
    const read = reader(before);
    const expects =
      before === 'text'
        ? 'a time in RFC 3339 with its offset, such as 2026-01-15T12:00:00Z, on a day that exists'
        : 'a time in milliseconds since 1970, up to the year 275760';
    if (as === 'number')
      return {
        stage: 'encode',
        whole: false,
        expects,
        apply(raw, numbers, count) {
          for (let index = 0; index < count; index++) numbers[index] = partOf(read(raw, numbers, index));
        },
      };
    const { first, length } = PARTS[part];
    return {
      stage: 'columns',
      width: 2,
      expects,
      reads: before === 'text' ? 'raw' : 'numbers',
      write(raw, numbers, index, out, at) {
        const turn = ((partOf(read(raw, numbers, index)) - first) / length) * 2 * Math.PI;
        out[at] = Math.sin(turn);
        out[at + 1] = Math.cos(turn);
        return Number.isFinite(turn);
      },
    };
  },
});

function reader(before: Before): (raw: readonly unknown[], numbers: Float64Array, index: number) => number {
  if (before === 'text') return (raw, _numbers, index) => parseRfc3339(String(raw[index])) ?? Number.NaN;
  return (raw, numbers, index) => Number(before === 'numbers' ? numbers[index] : raw[index]);
}
