import { describe, expect, it } from 'vitest';
import { checkRecurrence, nextRunAt } from './next-run.ts';

const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());

describe('the next run', () => {
  it('follows cron in its time zone across a daylight saving change', () => {
    const daily = { cron: '30 6 * * *', timezone: 'Europe/Berlin' };
    expect(iso(nextRunAt(daily, Date.UTC(2026, 2, 28, 0)))).toBe('2026-03-28T05:30:00.000Z');
    expect(iso(nextRunAt(daily, Date.UTC(2026, 2, 29, 0)))).toBe('2026-03-29T04:30:00.000Z');
  });

  it('counts an interval from the last run', () => {
    expect(nextRunAt({ everyMs: 60_000 }, 5)).toBe(60_005);
  });

  it('rejects an invalid pattern or time zone', () => {
    expect(() => checkRecurrence({ cron: '61 * * * *', timezone: 'UTC' })).toThrow(/cannot be read/);
    expect(() => checkRecurrence({ cron: '1 * * * *', timezone: 'Mars/Base' })).toThrow(/cannot be read/);
  });
});
