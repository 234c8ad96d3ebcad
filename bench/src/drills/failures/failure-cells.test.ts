import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../stand/cluster.ts';
import { plantedText } from '../../stand/source-tree.ts';
import { chosen, FAILURE_CELLS } from './drill-failures.ts';
import { isLive } from './failure-cell.ts';

describe('the cells of the failure matrix', () => {
  it('are all 42 rows, each once', () => {
    expect(FAILURE_CELLS.map(({ id }) => id)).toEqual(Array.from({ length: 42 }, (_, index) => index + 1));
  });

  it.each(FAILURE_CELLS)('$id names a bug whose place is there, and tests that exist', (cell) => {
    const text = readFileSync(join(ROOT, cell.bug.file), 'utf8');
    expect(plantedText(text, cell.bug)).not.toBe(text);
    if (isLive(cell)) return;
    expect(cell.tests.length).toBeGreaterThan(0);
    // A title that changes is changed here, too: the drill would find no test.
    for (const { file, name, titledIn = file } of cell.tests) {
      expect(existsSync(join(ROOT, file)), file).toBe(true);
      expect(readFileSync(join(ROOT, titledIn), 'utf8'), titledIn).toContain(name);
    }
  });

  it('are chosen by number and range', () => {
    const wanted = chosen('1,5,9-12');
    expect([1, 2, 5, 8, 9, 12, 13].filter(wanted)).toEqual([1, 5, 9, 12]);
    expect(chosen(undefined)(42)).toBe(true);
  });
});
