import { expect, it } from 'vitest';
import { runAgainst as run } from '../testing/run-against.ts';

it('uploads a table with the type of its ending, and shows refused lines', async () => {
  const answer = {
    table: 't',
    version: 2,
    rows: 3,
    refused: 1,
    refused_rows: [{ line: 4, problem: 'age: is missing' }],
  };
  const files = { 'a.csv': 'id,age\n1,2\n' };
  const ran = await run(['tables', 'push', 't', 'a.csv', '--max-refused', '5'], files, answer);
  expect(ran.code).toBe(0);
  expect(ran.out).toBe('table t version 2: 3 rows, 1 refused\nline 4: age: is missing\n');
  expect(ran.asked).toEqual([
    { method: 'POST', url: '/v1/tables/t/versions?max_refused=5', type: 'text/csv', body: 'id,age\n1,2\n' },
  ]);
  expect((await run(['tables', 'push', 't', 'a.xlsx'], {}, answer)).code).not.toBe(0);
});

it('declares a table from YAML and lists tables', async () => {
  const files = { 's.yaml': 'key: id\ncolumns: {age: {type: number}}\n' };
  const declared = await run(['tables', 'declare', 't', 's.yaml'], files, { table: 't' });
  expect(JSON.parse(declared.asked[0]?.body ?? '')).toEqual({
    key: 'id',
    columns: { age: { type: 'number' } },
  });
  const tables = { tables: [{ name: 't', version: null, rows: 0, uploaded_at: null }] };
  expect((await run(['tables', 'list'], {}, tables)).out).toContain('nothing uploaded');
  expect(JSON.parse((await run(['--json', 'tables', 'list'], {}, tables)).out)).toEqual(tables);
});

it('sends events and names the lines that were refused', async () => {
  const answer = { accepted: 1, refused: [{ index: 1, detail: 'time: is not a time' }] };
  const ran = await run(['events', 'push', 'e.jsonl'], { 'e.jsonl': '{"id":"1"}\n\n{"id":"2"}\n' }, answer);
  expect(ran.out).toBe('1 events taken in\nline 3: time: is not a time\n');
});
