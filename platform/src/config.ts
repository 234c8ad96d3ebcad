import { HotloopError } from '@hotloop/proto/errors.ts';
import { z } from 'zod';

export { z } from 'zod';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ConfigOptions {
  /** An unknown variable with this prefix is an error. */
  readonly prefix: string;
  /** Names that are known in addition to the schema's own, because several services may share one environment. */
  readonly known?: readonly string[];
}

/**
 * Reads the configuration of a service from its environment, once. The schema's keys are the names of the variables;
 * an empty variable counts as unset. The result is frozen. Throws INVALID_ARGUMENT in one line that names each
 * variable and its problem; a value is never printed, because it may be a secret.
 */
export function readConfig<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  environment: Environment,
  options: ConfigOptions,
): Readonly<z.output<z.ZodObject<Shape>>> {
  const own = Object.keys(schema.shape);
  const known = new Set([...own, ...(options.known ?? [])]);
  const problems: string[] = [];
  for (const name of Object.keys(environment).sort()) {
    if (!name.startsWith(options.prefix) || known.has(name)) continue;
    const nearest = nearestName(name, [...known]);
    problems.push(`${name} is not a known variable${nearest ? `; did you mean ${nearest}?` : ''}`);
  }
  const given = Object.fromEntries(
    own.filter((name) => (environment[name] ?? '') !== '').map((name) => [name, environment[name]]),
  );
  const result = schema.safeParse(given);
  if (!result.success)
    for (const issue of result.error.issues) {
      const name = String(issue.path[0] ?? 'configuration');
      problems.push(
        given[name] === undefined && own.includes(name) ? `${name} is not set` : `${name}: ${issue.message}`,
      );
    }
  if (problems.length > 0)
    throw new HotloopError('INVALID_ARGUMENT', `cannot start: ${problems.join('; ')}`, {
      reason: 'invalid_configuration',
    });
  return Object.freeze(result.data as z.output<z.ZodObject<Shape>>);
}

const MAX_DISTANCE = 4;

function nearestName(name: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let bestDistance = MAX_DISTANCE + 1;
  for (const candidate of candidates) {
    const distance = editDistance(name, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein distance: insertions, deletions and substitutions, computed one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** host:port, such as 127.0.0.1:7400 or [::1]:7400; port 0 picks a free port. */
export function addressSchema() {
  return z.string().regex(/^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):\d{1,5}$/, 'must be host:port');
}

/** Whole milliseconds. */
export function millisecondsSchema() {
  return z.coerce
    .number('must be whole milliseconds')
    .int('must be whole milliseconds')
    .min(0)
    .max(2 ** 31 - 1);
}

/** A fraction between 0 and 1. */
export function fractionSchema() {
  return z.coerce.number('must be a number from 0 to 1').min(0).max(1);
}

/** A connection URL with one of the schemes. */
export function urlSchema(...schemes: readonly string[]) {
  return z.string().refine(
    (text) => {
      const url = URL.parse(text);
      return url !== null && schemes.includes(url.protocol.replace(/:$/, ''));
    },
    `must be a URL that begins with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`,
  );
}

/**
 * Comma-separated addresses. The first may be preceded by a scheme with credentials, such as `kafkas://` or
 * `kafka+scram-sha-512://user:password@`.
 */
export function brokerListSchema() {
  return z
    .string()
    .transform((text) => text.split(',').map((part) => part.trim()))
    .refine(
      ([first = '', ...others]) =>
        [first.replace(/^kafkas?(\+[a-z0-9-]+)?:\/\/([^:@/]+:[^@/]*@)?/, ''), ...others].every(
          (part) => addressSchema().safeParse(part).success,
        ),
      'must be host:port, comma-separated',
    );
}
