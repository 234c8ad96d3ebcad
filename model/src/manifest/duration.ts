import { z } from 'zod';

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const PATTERN = /^(\d{1,9})(ms|s|m|h|d)$/;

/** A duration as written in model.yaml, such as 250ms, 30s, 15m, 12h or 7d. */
export const durationSchema = z
  .string()
  .regex(PATTERN, 'must be a whole number and a unit: ms, s, m, h or d');

/** Milliseconds of a duration that durationSchema accepted. Throws RangeError for anything else. */
export function durationMs(text: string): number {
  const match = PATTERN.exec(text);
  if (!match) throw new RangeError(`not a duration: ${text}`);
  return Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS];
}
