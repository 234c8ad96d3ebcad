import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import type { CommandContext } from '../command-context.ts';
import { runCommandLine } from '../run-command-line.ts';

class Captured extends Writable {
  text = '';
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString('utf8');
    done();
  }
}

/** Runs command lines against a server that answers the same to everything, and keeps what it was asked. */
async function run(args: readonly string[], files: Record<string, string>, answer: unknown) {
  const asked: { method: string; url: string; type: string; body: string }[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    asked.push({
      ...{ method: request.method ?? '', url: request.url ?? '', body },
      type: request.headers['content-type'] ?? '',
    });
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  await using _closing = { [Symbol.asyncDispose]: async () => void server.close() };
  const out = new Captured();
  const err = new Captured();
  const context: CommandContext = {
    terminal: { out, err },
    signal: new AbortController().signal,
    readFile: async (path) => Buffer.from(files[path] ?? ''),
    up: async () => 0,
  };
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const code = await runCommandLine(['--front-door', url, ...args], context);
  return { code, out: out.text, err: err.text, asked };
}

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
