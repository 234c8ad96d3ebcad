import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { openDuckDb, sqlText } from '@hotloop/platform/duckdb/duckdb.ts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { CommandContext } from '../command-context.ts';
import { runCommandLine } from '../run-command-line.ts';

class Captured extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString('utf8');
    done();
  }
}

let folder: string;
const file = (name: string) => join(folder, name);

async function check(...args: readonly string[]) {
  const [out, err] = [new Captured(), new Captured()];
  let failed = 0;
  const context: CommandContext = {
    terminal: { out, err },
    signal: new AbortController().signal,
    readFile: async () => Buffer.alloc(0),
    up: async () => 0,
    fail: (code) => {
      failed = code;
    },
  };
  const code = await runCommandLine(['monitor', 'check', ...args], context);
  return { code: code || failed, out: out.text, err: err.text };
}

/** Deterministic rows: a price, a city, a flag. */
function rows(count: number, { times = 1, city = 3, start = 0 } = {}): string[] {
  return Array.from({ length: count }, (_v, at) => {
    const row = at + start;
    const price = (5 + Math.sin(row * 12.9898) * 2 + (row % 97) / 100) * times;
    return `${price.toFixed(4)},${['Bern', 'Rome', 'Oslo'][row % city]},${row % 2 === 0}`;
  });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hotloop-check-'));
  const csv = (name: string, lines: readonly string[], head = 'price,city,flag') =>
    writeFile(file(name), `${head}\n${lines.join('\n')}\n`);
  await csv('before.csv', rows(3000));
  await csv('same.csv', rows(3000, { start: 3000 }));
  await csv('unit.csv', rows(3000, { times: 1000 }));
  await csv(
    'fewer.csv',
    rows(3000).map((line) => line.split(',').slice(0, 2).join(',')),
    'price,city',
  );
  await csv('tiny.csv', rows(20, { times: 1000 }));
  await writeFile(
    file('swap.jsonl'),
    rows(3000, { city: 2 })
      .map((line) => line.split(','))
      .map(([price, city, flag]) => JSON.stringify({ price: Number(price), city, flag: flag === 'true' }))
      .join('\n'),
  );
  await using database = await openDuckDb();
  await database.writeParquet(`SELECT * FROM read_csv(${sqlText(file('same.csv'))})`, file('same.parquet'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('passes where nothing changed, also from CSV to Parquet', async () => {
  const same = await check(
    '--reference',
    file('before.csv'),
    '--current',
    file('same.parquet'),
    '--json',
    '--fail-on',
    'any',
  );
  expect(same.err).toBe('');
  expect(JSON.parse(same.out)).toMatchObject({
    ok: true,
    referenceRows: 3000,
    currentRows: 3000,
    signals: [],
  });
  expect(same.code).toBe(0);
});

it('fails on drift with exit code 1, and names the columns', async () => {
  const unit = await check(
    '--reference',
    file('before.csv'),
    '--current',
    file('unit.csv'),
    '--fail-on',
    'drift',
  );
  expect(unit.code).toBe(1);
  expect(unit.out).toMatch(/price .* drifted/);
  expect(unit.out).toMatch(/told apart with an AUC of 1\.00, by price/);
  const swap = await check('--reference', file('before.csv'), '--current', file('swap.jsonl'), '--json');
  const { signals } = JSON.parse(swap.out) as { signals: { kind: string; feature: string | null }[] };
  expect(signals.filter(({ kind }) => kind === 'drift').map(({ feature }) => feature)).toEqual(['city']);
  expect(swap.code).toBe(1);
  const allowed = await check(
    '--reference',
    file('before.csv'),
    '--current',
    file('unit.csv'),
    '--fail-on',
    'schema',
  );
  expect(allowed.code).toBe(0);
});

it('reports a missing column, and what is too small to judge', async () => {
  const fewer = await check('--reference', file('before.csv'), '--current', file('fewer.csv'));
  expect(fewer.code).toBe(1);
  expect(fewer.out).toContain('critical schema: the column flag is gone');
  const tiny = await check(
    '--reference',
    file('before.csv'),
    '--current',
    file('tiny.csv'),
    '--fail-on',
    'any',
  );
  expect(tiny.code).toBe(0);
  expect(tiny.out).toContain('not judged: price, city, flag: 20 rows in the window; 200 are needed');
  expect(tiny.out).toMatch(/no column was judged$/m);
  expect(tiny.out).not.toContain('drifted');
});

it('refuses what it cannot read in one line', async () => {
  await writeFile(file('empty.csv'), '');
  await writeFile(file('header.csv'), 'price,city,flag\n');
  await writeFile(file('ragged.csv'), 'price,city,flag\n1,Bern,true\n2,Rome\n3,Oslo,true,9\n');
  await writeFile(file('binary.csv'), Buffer.from(Array.from({ length: 2560 }, (_v, at) => at % 256)));
  for (const [args, message] of [
    [['--reference', file('same.csv'), '--current', file('empty.csv')], /empty\.csv is empty/],
    [['--reference', file('same.csv'), '--current', file('header.csv')], /header\.csv has no rows/],
    [
      ['--reference', file('same.csv'), '--current', file('ragged.csv')],
      /do not all have as many cells as its header/,
    ],
    [['--reference', file('same.csv'), '--current', file('binary.csv')], /binary\.csv cannot be read/],
    [['--reference', file('before.csv')], /say --reference FILE and --current FILE/],
    [['--reference', file('none.csv'), '--current', file('same.csv')], /there is no file/],
    [['--reference', file('before.csv'), '--current', folder], /a table ends in/],
    [
      ['--reference', file('before.csv'), '--current', file('same.csv'), '--fail-on', 'rain'],
      /rain: the signals are drift/,
    ],
    [['--reference', file('before.csv'), '--current', file('same.csv'), '--measure', 'vibes'], /features/],
  ] as const) {
    const refused = await check(...args);
    expect(refused.code).not.toBe(0);
    expect(refused.err).toMatch(message);
    expect(refused.err.trim().split('\n')).toHaveLength(1);
  }
});
