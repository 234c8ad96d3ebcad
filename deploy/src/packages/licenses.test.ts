import { join } from 'node:path';
import { expect, it } from 'vitest';
import { isAllowed, refusedLicenses } from './licenses.ts';

it('ships only packages under permissive licenses', () => {
  expect(refusedLicenses(join(import.meta.dirname, '..', '..', '..'))).toEqual([]);
  for (const [license, allowed] of [
    ['MIT', true],
    ['(MIT OR GPL-3.0)', true],
    ['MIT AND GPL-3.0', false],
    ['GPL-3.0-only', false],
    ['none', false],
  ] as const)
    expect(isAllowed(license), license).toBe(allowed);
});
