import { MINUTE_MS } from './time-units.ts';

/**
 * Parses an RFC 3339 time, such as `2026-02-28T10:00:00.250+01:00`, as whole milliseconds since 1970; null for any
 * other text. The offset is required, and the day must exist: 30 February is rejected, while `Date.parse` would give
 * 2 March.
 */
export function parseRfc3339(text: string): number | null {
  const year = digits(text, 0, 4);
  const month = digits(text, 5, 7);
  const day = digits(text, 8, 10);
  const hour = digits(text, 11, 13);
  const minute = digits(text, 14, 16);
  const second = digits(text, 17, 19);
  if (text[4] !== '-' || text[7] !== '-' || text[13] !== ':' || text[16] !== ':') return null;
  if (text[10] !== 'T' && text[10] !== 't' && text[10] !== ' ') return null;
  // Comparisons with NaN, which stands for other characters than digits, are false.
  if (!(year >= 0 && month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month))) return null;
  // 60 is a leap second, which RFC 3339 allows.
  if (!(hour <= 23 && minute <= 59 && second <= 60)) return null;
  let at = 19;
  if (text[at] === '.') for (at++; isDigit(text, at); ) at++;
  const fraction = at - 20;
  if (fraction === 0 || fraction > 9) return null;
  const milliseconds =
    fraction < 0 ? 0 : digits(text, 20, Math.min(at, 23)) * 10 ** Math.max(0, 3 - fraction);
  const offsetMs = offsetOf(text, at);
  if (offsetMs === null) return null;
  if (year >= 100) return Date.UTC(year, month - 1, day, hour, minute, second, milliseconds) - offsetMs;
  const date = new Date(0);
  // Not Date.UTC, which treats the years 0 to 99 as 1900 to 1999.
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second, milliseconds);
  return date.getTime() - offsetMs;
}

/** The offset with which a time ends, in ms: Z, or hours and minutes. */
function offsetOf(text: string, at: number): number | null {
  const sign = text[at];
  if (sign === 'Z' || sign === 'z') return text.length === at + 1 ? 0 : null;
  if ((sign !== '+' && sign !== '-') || text[at + 3] !== ':' || text.length !== at + 6) return null;
  const [hours, minutes] = [digits(text, at + 1, at + 3), digits(text, at + 4, at + 6)];
  if (!(hours <= 23 && minutes <= 59)) return null;
  return (sign === '-' ? -1 : 1) * (hours * 60 + minutes) * MINUTE_MS;
}

/** The number that these characters write; NaN when one of them is no digit. */
function digits(text: string, from: number, until: number): number {
  let number = 0;
  for (let at = from; at < until; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (!(digit >= 0 && digit <= 9)) return Number.NaN;
    number = 10 * number + digit;
  }
  return number;
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 48 && code <= 57;
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
