import { connect } from 'node:net';
import { silentLog } from '@hotloop/platform/log.ts';
import { openPool, type Pool } from '@hotloop/platform/postgres/pool.ts';
import { HOSTILE_TEXTS, type HostileInput, leakOf } from './hostile-input.ts';

const QUERY_MS = 15_000;

/** The Postgres interface: bytes that are not protocol messages, and forbidden statements. */
export function sqlInputs(address: string): { readonly inputs: HostileInput[] } & AsyncDisposable {
  const pool = openPool(`postgres://drill@${address}/hotloop`, {
    ...{
      max: 2,
      queryTimeoutMs: QUERY_MS,
      application: 'drill',
      log: silentLog(),
      connectTimeoutMs: QUERY_MS,
    },
  });
  const inputs: HostileInput[] = [
    ...PROTOCOL.map(
      ([what, bytes]): HostileInput => ({ door: 'sql', name: what, send: () => sendBytes(address, bytes) }),
    ),
    ...[...REFUSED, ...HOSTILE_TEXTS.filter((text) => text.trim() !== '' && !/^\s*set\b/i.test(text))].map(
      (statement): HostileInput => ({
        door: 'sql',
        name: statement.slice(0, 80),
        send: () => mustRefuse(pool, statement),
      }),
    ),
    ...WIDENING.map(
      (setting): HostileInput => ({
        door: 'sql',
        name: `${setting}, then a file`,
        // A client's setting may be ignored silently, but it must not enable anything.
        async send() {
          await pool.query(setting).catch(() => undefined);
          return mustRefuse(pool, "SELECT * FROM read_text('/etc/passwd')");
        },
      }),
    ),
    ...HOSTILE_TEXTS.filter((text) => !text.includes('\0')).map(
      (text): HostileInput => ({
        door: 'sql',
        name: `parameter ${JSON.stringify(text.slice(0, 30))}`,
        send: () => mustEcho(pool, text.toWellFormed()),
      }),
    ),
  ];
  return { inputs, [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose]() };
}

const WIDENING = [
  'SET enable_external_access = true',
  'SET lock_configuration = false',
  "SET allowed_directories = ['/']",
  'RESET ALL',
] as const;

/**
 * Files, extensions, settings and other databases are forbidden for SQL callers; text that is not SQL is a syntax
 * error.
 */
const REFUSED: readonly string[] = [
  "SELECT * FROM read_csv('/etc/passwd')",
  "SELECT * FROM read_text('/etc/shadow')",
  "SELECT * FROM '/etc/passwd'",
  "SELECT * FROM read_parquet('http://169.254.169.254/latest')",
  "SELECT * FROM read_csv('https://example.invalid/a.csv')",
  "COPY (SELECT 1) TO '/tmp/hotloop-hostile.csv'",
  "COPY (SELECT 1) TO PROGRAM 'id'",
  "COPY prediction FROM PROGRAM 'id'",
  "ATTACH '/tmp/hotloop-hostile.db'",
  "ATTACH 'postgres://localhost/postgres' (TYPE postgres)",
  'INSTALL httpfs',
  'LOAD httpfs',
  "PRAGMA database_list('x')",
  "EXPORT DATABASE '/tmp/hotloop-hostile'",
  "IMPORT DATABASE '/tmp/hotloop-hostile'",
  "SELECT pg_read_file('/etc/passwd')",
  "SELECT getenv('DATABASE_URL')",
  'SELECT predict()',
  "SELECT predict('no-such-model', {'a': 1})",
  "SELECT predict('../../etc', {'a': 1})",
  'SELECT',
  'SELEC 1',
  "SELECT 'unterminated",
  'SELECT "unterminated',
  `SELECT ${'('.repeat(20_000)}1${')'.repeat(20_000)}`,
  `SELECT ${'1+'.repeat(50_000)}x`,
  'SELECT * FROM no_such_table',
  'SELECT 1/0 FROM no_such',
  'DROP TABLE prediction',
  'DELETE FROM model',
  'CREATE USER x',
  'SELECT * FROM range(1e18::BIGINT) a, range(1e18::BIGINT) b WHERE a.range + b.range = no_such_column',
];

async function mustRefuse(pool: Pool, statement: string): Promise<string | undefined> {
  try {
    await pool.query(statement);
  } catch (error) {
    const { message, code } = error as Error & { code?: string };
    if (code === undefined) return `no SQLSTATE: ${message}`;
    if (code === 'XX000') return `XX000: ${message.slice(0, 200)}`;
    const leak = leakOf(message, statement);
    return leak === undefined ? undefined : `the answer reveals ${JSON.stringify(leak)}`;
  }
  return 'it was not refused';
}

async function mustEcho(pool: Pool, text: string): Promise<string | undefined> {
  const { rows } = await pool.query<{ text: string }>('SELECT $1::text AS text', [text]);
  return rows[0]?.text === text
    ? undefined
    : `came back as ${JSON.stringify(String(rows[0]?.text).slice(0, 100))}`;
}

function message(type: string, ...parts: readonly (string | Buffer)[]): Buffer {
  const body = Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)),
  );
  const head = Buffer.alloc(type === '' ? 4 : 5);
  if (type !== '') head.write(type, 'latin1');
  head.writeUInt32BE(body.length + 4, head.length - 4);
  return Buffer.concat([head, body]);
}

const version = (number: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
};
const STARTUP = message('', version(196_608), 'user\0drill\0database\0hotloop\0\0');

const PROTOCOL: readonly [string, Buffer][] = [
  ['no bytes', Buffer.alloc(0)],
  ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')],
  ['a startup of length 0', version(0)],
  ['a startup of 4 GB', version(0xffffffff)],
  ['a startup of another version', message('', version(0x00ff0000), 'user\0a\0\0')],
  ['a startup without a user', message('', version(196_608), '\0')],
  ['a startup that does not end', message('', version(196_608), 'user')],
  ['a cancel of an unknown session', message('', version(80_877_102), version(1), version(2))],
  ['a request for TLS, then noise', Buffer.concat([message('', version(80_877_103)), Buffer.from('noise')])],
  ['a query before the startup', message('Q', 'SELECT 1\0')],
  ['a message of an unknown kind', Buffer.concat([STARTUP, message('\u0001', 'x')])],
  ['a message that is shorter than its length', Buffer.concat([STARTUP, Buffer.from('Q'), version(3)])],
  ['a message of 4 GB', Buffer.concat([STARTUP, Buffer.from('Q'), version(0xfffffff0)])],
  ['a query without an end', Buffer.concat([STARTUP, message('Q', 'SELECT 1')])],
  ['a parse without its parts', Buffer.concat([STARTUP, message('P', 'x')])],
  [
    'a bind of a statement that was not parsed',
    Buffer.concat([STARTUP, message('B', '\0no\0', Buffer.alloc(6)), message('S')]),
  ],
  [
    'a bind that announces 65535 parameters',
    Buffer.concat([STARTUP, message('B', '\0\0', Buffer.from('0000ffff', 'hex')), message('S')]),
  ],
  ['an execute of nothing', Buffer.concat([STARTUP, message('E', 'no\0', Buffer.alloc(4)), message('S')])],
  ['a describe of an unknown kind', Buffer.concat([STARTUP, message('D', 'Zno\0'), message('S')])],
  ['a close of nothing', Buffer.concat([STARTUP, message('C', 'Sno\0'), message('S')])],
  ['copied data without COPY', Buffer.concat([STARTUP, message('d', 'abc'), message('S')])],
  ['a function call', Buffer.concat([STARTUP, message('F', version(1)), message('S')])],
  ['a password without a request for one', Buffer.concat([STARTUP, message('p', 'x\0'), message('S')])],
  [
    'text that is not UTF-8',
    Buffer.concat([STARTUP, message('Q', Buffer.from('53454c45435420c328', 'hex'), '\0')]),
  ],
  ['random bytes', Buffer.concat([STARTUP, Buffer.from('ffeeddccbbaa99887766554433221100', 'hex')])],
];

/** Every answer must end, and must not be an internal error. */
async function sendBytes(address: string, bytes: Buffer): Promise<string | undefined> {
  const [host, port] = address.split(':');
  const socket = connect(Number(port), host);
  let answer = '';
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString('latin1');
  });
  const closed = new Promise((resolve) => socket.on('error', () => undefined).once('close', resolve));
  socket.write(bytes);
  socket.end(message('X'));
  await closed;
  if (answer.includes('CXX000')) return `XX000: ${answer.slice(0, 200)}`;
  const leak = leakOf(answer, '');
  return leak === undefined ? undefined : `the answer reveals ${JSON.stringify(leak)}`;
}
