import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { leave } from '../stand/engines-stand.ts';
import { pythonWith } from './python-peer.ts';

const run = promisify(execFile);
const LARGE = { maxBuffer: 256 * 1024 * 1024, timeout: 300_000 };
const PGJDBC = '42.7.8';

/** The rows of each query, as one client returns them. */
export type ClientRows = readonly (readonly (readonly unknown[])[])[];

export interface SqlClientName {
  readonly name: string;
  ask(url: string, queries: readonly string[], folder: string): Promise<ClientRows>;
}

/** The clients of the Postgres protocol on this machine; a missing one is named in one line. */
export async function sqlClients(say: (line: string) => void): Promise<SqlClientName[]> {
  const clients: SqlClientName[] = [{ name: 'node-postgres', ask: byNodePostgres }];
  if (await has('psql', ['--version'])) clients.push({ name: 'psql', ask: byPsql });
  else say('skipped: psql is not installed');
  const python = await pythonWith({ psycopg: 'psycopg[binary]' }, say);
  if (python !== undefined)
    clients.push({ name: 'psycopg', ask: (url, queries, folder) => byPsycopg(python, url, queries, folder) });
  const jar = await pgjdbc();
  if (jar === undefined) say('skipped: pgjdbc, which needs java and mvn');
  else clients.push({ name: 'pgjdbc', ask: (url, queries, folder) => byJdbc(jar, url, queries, folder) });
  return clients;
}

async function byNodePostgres(url: string, queries: readonly string[]): Promise<ClientRows> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const all = [];
    for (const text of queries)
      all.push((await client.query({ text, rowMode: 'array' })).rows as unknown[][]);
    return all;
  } finally {
    await client.end();
  }
}

/** Field and record separators that none of our values contains. */
const FIELD = '\u001f';
const RECORD = '\u001e';
const END = '\u001d';

async function byPsql(url: string, queries: readonly string[]): Promise<ClientRows> {
  const all = [];
  for (let from = 0; from < queries.length; from += 50) {
    const some = queries.slice(from, from + 50);
    const marked = some.flatMap((query) => ['-c', query, '-c', `\\echo -n ${END}`]);
    const format = ['-X', '-A', '-t', '-F', FIELD, '-R', RECORD, '-P', 'null=NULL'];
    const { stdout } = await run('psql', [url, ...format, ...marked], LARGE);
    const answers = stdout.split(END).slice(0, some.length);
    for (const answer of answers) {
      const text = answer.replace(/^\n+|\n+$/g, '');
      all.push(text === '' ? [] : text.split(RECORD).map((row) => row.split(FIELD).map(nullOf)));
    }
  }
  return all;
}

const nullOf = (text: string): string | null => (text === 'NULL' ? null : text);

async function byPsycopg(
  python: string,
  url: string,
  queries: readonly string[],
  folder: string,
): Promise<ClientRows> {
  const path = await leave(folder, 'queries.json', JSON.stringify(queries));
  const script = fileURLToPath(new URL('./sql_client.py', import.meta.url));
  return lines((await run(python, [script, url, path], LARGE)).stdout);
}

async function byJdbc(
  jar: string,
  url: string,
  queries: readonly string[],
  folder: string,
): Promise<ClientRows> {
  const path = await leave(folder, 'queries.sql', `${queries.join('\n')}\n`);
  const source = fileURLToPath(new URL('./SqlClient.java', import.meta.url));
  const { host, pathname } = new URL(url);
  const address = `jdbc:postgresql://${host}${pathname}?user=bench&password=unused`;
  return lines((await run('java', ['-cp', jar, source, address, path], LARGE)).stdout);
}

function lines(text: string): ClientRows {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown[][]);
}

/** The driver's jar in Maven's folder; downloaded if it is not there. */
async function pgjdbc(): Promise<string | undefined> {
  if (!(await has('java', ['-version']))) return undefined;
  const folder = join(homedir(), '.m2/repository/org/postgresql/postgresql');
  const found = async () => {
    const names = await readdir(folder, { recursive: true }).catch(() => []);
    const jar = names
      .filter((name) => /postgresql-[\d.]+\.jar$/.test(name))
      .sort()
      .at(-1);
    return jar === undefined ? undefined : join(folder, jar);
  };
  const there = await found();
  if (there !== undefined) return there;
  const artifact = `-Dartifact=org.postgresql:postgresql:${PGJDBC}`;
  await run('mvn', ['-q', 'dependency:get', artifact], { timeout: 120_000 }).catch(() => undefined);
  return found();
}

async function has(program: string, given: readonly string[]): Promise<boolean> {
  return run(program, [...given]).then(
    () => true,
    () => false,
  );
}
