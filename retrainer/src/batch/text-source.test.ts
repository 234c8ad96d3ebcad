import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSqlDatabase, type SqlConnection } from '@hotloop/platform/duckdb/sql-database.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stageText, UNREADABLE } from './text-source.ts';

const TYPES = { visits: 'DOUBLE', member: 'BOOLEAN', plan: 'VARCHAR' };

let folder: string;
let connection: SqlConnection;
const opened = new AsyncDisposableStack();
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hotloop-text-'));
  opened.defer(() => rm(folder, { recursive: true, force: true }));
  connection = opened.use(
    await opened.use(await openSqlDatabase({ memoryMb: 256, threads: 1, files: true })).connect(),
  );
});
afterAll(() => opened.disposeAsync());

/** @returns the rows as read, or the error's text with the folder left out. */
async function staged(name: string, ...contents: (string | Uint8Array)[]) {
  const files = await Promise.all(
    contents.map(async (content, at) => {
      const path = join(folder, contents.length === 1 ? name : `${at}-${name}`);
      await writeFile(path, content);
      return path;
    }),
  );
  const format = name.endsWith('.csv') ? 'csv' : 'jsonl';
  const to = join(folder, 'staged.parquet');
  try {
    await stageText(connection, { files, format, types: TYPES }, to);
  } catch (error) {
    return (error as Error).message.replaceAll(`${folder}/`, '');
  }
  const rows = await connection.rows(`SELECT * FROM read_parquet('${to}')`);
  return rows.map(({ [UNREADABLE]: unreadable, ...row }) => ({
    ...row,
    ...(unreadable === null ? {} : { unreadable }),
  }));
}

describe('a CSV file', () => {
  it('has rows with a value that cannot be read told apart, and its other rows read', async () => {
    const text = 'id,visits,member,plan\n1,3,true,free\n2,abc,maybe,007\n3,,,pro\n';
    expect(await staged('in.csv', text)).toEqual([
      { id: 1n, visits: 3, member: true, plan: 'free' },
      {
        ...{ id: 2n, visits: null, member: null, plan: '007' },
        unreadable: 'visits must be a number, not abc; member must be true or false, not maybe',
      },
      { id: 3n, visits: null, member: null, plan: 'pro' },
    ]);
  });

  it('has the types of other columns decided by all rows, not by the first', async () => {
    const lines = Array.from({ length: 30_000 }, (_, row) => `${row === 29_999 ? 'A-17' : row},1`);
    const rows = (await staged('in.csv', `id,visits\n${lines.join('\n')}\n`)) as { id: unknown }[];
    expect([rows[0]?.id, rows.at(-1)?.id]).toEqual(['0', 'A-17']);
  });

  it('may have a byte order mark, semicolons, quoted line breaks, and empty files beside it', async () => {
    expect(await staged('in.csv', '\uFEFFid;visits\r\n1;2\r\n', '', 'id;visits\r\n2;3\r\n')).toEqual([
      { id: 1n, visits: 2 },
      { id: 2n, visits: 3 },
    ]);
    expect(await staged('in.csv', 'visits,plan\n1,"a,""b""\nc"\n')).toEqual([
      { visits: 1, plan: 'a,"b"\nc' },
    ]);
  });

  it('is refused with the line and the reason where it has no form that can be read', async () => {
    const good = 'id,visits,plan\n1,2,free\n';
    expect(await staged('in.csv', '')).toBe('in.csv: the file is empty');
    expect(await staged('in.csv', `${good}2,3\n${good}`)).toMatch(
      /^in\.csv, line 3: Expected Number of Columns: 3 Found: 2$/,
    );
    expect(await staged('in.csv', Buffer.from(`${good}2,3,gäste\n`, 'latin1'))).toMatch(
      /^in\.csv, line \d: .*not utf-8 encoded\.$/,
    );
    expect(await staged('in.csv', Buffer.from(`\uFEFF${good}`, 'utf16le'))).toBe(
      'in.csv: it is UTF-16; save it as UTF-8',
    );
    expect(await staged('in.csv', good, good.replaceAll(',', ';'))).toBe(
      '1-in.csv: its columns are separated otherwise than those of 0-in.csv',
    );
  });

  it('is refused as a whole where a column has no value of its type', async () => {
    expect(await staged('in.csv', 'visits,member\nmany,true\nfew,false\n')).toBe(
      'the source does not fit the model: no value of visits can be read; in the first such row, visits must be a number, not many',
    );
  });
});

describe('a file of JSON lines', () => {
  it('has rows with a value of another type told apart', async () => {
    const rows = [
      { visits: 3, member: true, plan: 'free' },
      { visits: 'five', member: 1, plan: 7 },
      { visits: null, plan: '2026-01-02' },
      { visits: { a: 1 }, member: false },
    ];
    expect(await staged('in.jsonl', rows.map((row) => `${JSON.stringify(row)}\n`).join(''))).toEqual([
      { visits: 3, member: true, plan: 'free' },
      {
        ...{ visits: null, member: null, plan: null },
        unreadable:
          'visits must be a number, not "five"; member must be true or false, not 1; plan must be a text, not 7',
      },
      { visits: null, member: null, plan: '2026-01-02' },
      { visits: null, member: false, plan: null, unreadable: 'visits must be a number, not {"a":1}' },
    ]);
  });

  it('has a field read that is first given far down', async () => {
    const lines = Array.from({ length: 30_000 }, (_, row) =>
      row === 29_999 ? '{"id":1,"visits":7}' : '{"id":1}',
    );
    expect(((await staged('in.jsonl', lines.join('\n'))) as unknown[]).at(-1)).toEqual({
      id: 1n,
      visits: 7n,
    });
  });

  it('is refused with the line where it is no JSON, and where it is an array', async () => {
    expect(await staged('in.jsonl', '{"visits": 1}\n{"visits": \n{"visits": 2}\n')).toMatch(
      /^Malformed JSON in file "in\.jsonl", at byte \d+ in line \d+: /,
    );
    expect(await staged('in.jsonl', '[{"visits": 1}]')).toBe(
      'in.jsonl: it is one JSON array; it must have one object on each line',
    );
  });
});
