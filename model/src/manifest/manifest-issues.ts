import type { z } from 'zod';
import { isTransformName, TRANSFORMS, transformName } from '../features/registry.ts';

type Issue = z.core.$ZodIssue;

/** The problems that a schema found, one line each: the field, the value found, and what is allowed. */
export function describeIssues(issues: readonly Issue[], value: unknown): string[] {
  return issues.flatMap((issue) => describe(issue, issue.path, value));
}

function describe(issue: Issue, path: readonly PropertyKey[], root: unknown): string[] {
  const field = path.map(String).join('.');
  const say = (text: string) => [field === '' ? text : `${field}: ${text}`];
  const given = at(root, path);
  // A message from the schema itself is better than one made here.
  const isPlain = issue.message.startsWith('Invalid input');
  if (!isPlain && (issue.code === 'invalid_union' || issue.code === 'invalid_type'))
    return say(issue.message);
  if (issue.code === 'invalid_union') {
    if (path.at(-2) === 'transform') return describeTransform(issue, path, root);
    // Of a union, report the alternative that accepts this kind of value, because its message fits best.
    const fitting = issue.errors.find(
      (inner) => inner.length > 0 && !inner.some((one) => one.path.length === 0),
    );
    if (fitting) return fitting.flatMap((one) => describe(one, [...path, ...one.path], root));
    const taken = new Set(
      issue.errors.flatMap((inner) => inner.map(expectedOf)).filter((text) => text !== ''),
    );
    return say(`${shown(given)} stands there; ${[...taken].join(' or ') || 'something else'} is taken`);
  }
  if (issue.code === 'invalid_type')
    return say(`${shown(given)} stands there; ${expectedOf(issue)} is taken`);
  if (issue.code === 'unrecognized_keys' && field.startsWith('features.') && issue.keys.includes('use'))
    return say('use: names a shared feature; it is taken from the features.yaml in the registry at push');
  return say(issue.message);
}

/** Reports only the problem of the transform that the key names. */
function describeTransform(
  issue: Extract<Issue, { code: 'invalid_union' }>,
  path: readonly PropertyKey[],
  root: unknown,
): string[] {
  const entry = at(root, path);
  const name = transformName(entry);
  const place = TRANSFORMS.findIndex((kind) => kind.name === name);
  const own = issue.errors[place];
  if (isTransformName(name) && own) return own.flatMap((one) => describe(one, [...path, ...one.path], root));
  const known = TRANSFORMS.map(({ example }) => example).join(', ');
  return [`${path.map(String).join('.')}: ${shown(entry)} stands there; taken are, for example, ${known}`];
}

function expectedOf(issue: Issue): string {
  if (issue.code === 'invalid_type') {
    if (issue.expected === 'nan') return '.nan';
    if (issue.expected === 'number') return 'a finite number';
    return (
      {
        string: 'a text',
        boolean: 'true or false',
        array: 'a list',
        object: 'a set of fields',
        int: 'a whole number',
      }[issue.expected as string] ?? issue.expected
    );
  }
  if (issue.code === 'invalid_value') return issue.values.map((value) => JSON.stringify(value)).join(' or ');
  return issue.message;
}

function at(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root;
  for (const key of path)
    value =
      typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined;
  return value;
}

function shown(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'number' && !Number.isFinite(value))
    return Number.isNaN(value) ? '.nan' : value > 0 ? '.inf' : '-.inf';
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 60 ? text : `${text.slice(0, 57)}...`;
}
