import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { columnsOf, progressLine, tableWithin } from './terminal.ts';

const ID = '01890a5d-ac96-774b-bcce-b302099a8057';

/** A terminal of this width, and what was written to it. */
function window(columns: number) {
  const stream = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY: true, columns });
  return { stream, written: () => String(stream.read() ?? '') };
}

describe('a table', () => {
  const headings = ['rollout', 'model', 'share %', 'what it says'];
  const rows = [
    [ID, 'a-model-with-a-long-name-that-somebody-chose', 25, 'waits for about 400 more outcomes, two hours'],
    [ID, 'churn', 100, 'done'],
  ];

  it('fits the width: long texts are cut, the longest first; ids and numbers never', () => {
    for (const columns of [72, 80, 100]) {
      const lines = tableWithin(columns)(headings, rows).split('\n');
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
      expect(lines[1]).toMatch(new RegExp(`^${ID} .*… +25  .*…$`));
      expect(lines[2]).toMatch(/churn +100 {2}done$/);
    }
    expect(tableWithin(Number.POSITIVE_INFINITY)(headings, rows)).not.toContain('…');
    // Narrower than its ids: it is as narrow as they allow.
    expect(tableWithin(20)(headings, rows)).toContain(ID);
  });

  it('has the width of the terminal, and 100 characters where there is none', () => {
    const { stream } = window(72);
    expect(columnsOf({ out: stream, err: stream })).toBe(72);
    const file = new PassThrough();
    expect(columnsOf({ out: file, err: file })).toBe(100);
  });
});

describe('a line of progress', () => {
  it('is cut where it would wrap, since a wrapped line cannot be repainted', () => {
    const { stream, written } = window(60);
    using line = progressLine({ out: stream, err: stream });
    line.update('loading: 2 of 3 nodes have loaded the version', 0.5);
    const painted = written().replace('\r\u001b[K', '');
    expect(painted.length).toBeLessThan(60);
    expect(painted).toMatch(/50%.*…$/);
  });
});
