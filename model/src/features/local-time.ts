const QUARTER_HOUR_MS = 900_000;
const MOST_REMEMBERED = 4096;

export type TimePart = 'hour' | 'weekday' | 'month';

/** The smallest value of a part, and how many there are. */
export const PARTS: Readonly<Record<TimePart, { first: number; length: number }>> = {
  hour: { first: 0, length: 24 },
  weekday: { first: 0, length: 7 },
  month: { first: 1, length: 12 },
};

const INSTANT =
  /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(?:[Zz]|([+-])(\d{2}):?(\d{2}))$/;

/**
 * Milliseconds since 1970 of an RFC 3339 time with an offset. Undefined for anything else: a time without an offset, and a
 * day that does not exist, such as 30 February.
 */
export function parseInstant(text: string): number | undefined {
  const match = INSTANT.exec(text);
  if (!match) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const fraction = Number(`0.${match[7] ?? 0}`) * 1000;
  const offset = match[8] === undefined ? 0 : (Number(match[9]) * 60 + Number(match[10])) * 60_000;
  if (hour > 23 || minute > 59 || second > 60 || Number(match[9] ?? 0) > 23 || Number(match[10] ?? 0) > 59)
    return undefined;
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const local =
    date.getTime() + ((hour * 60 + minute) * 60 + Math.min(second, 59)) * 1000 + Math.floor(fraction);
  return match[8] === '-' ? local + offset : local - offset;
}

/**
 * A part of a moment as clocks in `zone` show it. Throws RangeError for an unknown zone. Offsets change at whole quarters
 * of an hour, so one is looked up once for each; looking it up costs far more than the rest.
 */
export function localTime(zone: string, part: TimePart): (atMs: number) => number {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      ...{ year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric' },
    });
  } catch {
    throw new RangeError(`time zone ${JSON.stringify(zone)} is not known; write one such as Europe/Berlin`);
  }
  const remembered = new Map<number, number>();
  return (atMs) => {
    if (!(Math.abs(atMs) <= 8.64e15)) return Number.NaN;
    const quarter = Math.floor(atMs / QUARTER_HOUR_MS);
    let value = remembered.get(quarter);
    if (value === undefined) {
      if (remembered.size >= MOST_REMEMBERED) remembered.clear();
      value = read(format, quarter * QUARTER_HOUR_MS, part);
      remembered.set(quarter, value);
    }
    return value;
  };
}

function read(format: Intl.DateTimeFormat, atMs: number, part: TimePart): number {
  const parts = new Map(format.formatToParts(atMs).map(({ type, value }) => [type, Number(value)]));
  if (part === 'hour') return parts.get('hour') ?? Number.NaN;
  if (part === 'month') return parts.get('month') ?? Number.NaN;
  const day = new Date(0);
  day.setUTCFullYear(parts.get('year') ?? 1970, (parts.get('month') ?? 1) - 1, parts.get('day') ?? 1);
  return (day.getUTCDay() + 6) % 7;
}
