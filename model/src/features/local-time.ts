const QUARTER_HOUR_MS = 900_000;
const MOST_REMEMBERED = 4096;

export type TimePart = 'hour' | 'weekday' | 'month';

/** The smallest value of a part, and the number of values. */
export const PARTS: Readonly<Record<TimePart, { first: number; length: number }>> = {
  hour: { first: 0, length: 24 },
  weekday: { first: 0, length: 7 },
  month: { first: 1, length: 12 },
};

/**
 * A part of a moment in local time of `zone`. Throws RangeError for an unknown zone. The UTC offset is looked up once
 * per quarter of an hour, because it only changes at whole quarters and the lookup costs far more than the rest.
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
    throw new RangeError(`time zone ${JSON.stringify(zone)} is unknown; use a name such as Europe/Berlin`);
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
