import { HotloopError } from '@hotloop/proto/errors.ts';
import { Environment } from '@marcbachmann/cel-js';

/** The values that an expression may access, by the name of its top-level variable. */
export type Scope = Readonly<Record<string, unknown>>;
export type ExpressionValue = number | string | boolean | null | readonly unknown[];

/** Evaluates one compiled expression. Throws INVALID_ARGUMENT when it cannot be evaluated on this scope. */
export type Expression = (scope: Scope) => ExpressionValue;

/** The type of a variable: a number, a text, a flag, or a record of attributes (`item.margin`). */
export type VariableKind = 'number' | 'text' | 'flag' | 'record' | 'any';

const CEL_TYPES: Readonly<Record<VariableKind, string>> = {
  number: 'double',
  text: 'string',
  flag: 'bool',
  record: 'map',
  any: 'dyn',
};

/** Expressions come with a model, from outside: their size is limited, and CEL itself has no unbounded loops. */
const LIMITS = { maxAstNodes: 2000, maxDepth: 64, maxListElements: 1000, maxMapEntries: 100 };
const MAX_CHARACTERS = 2000;

const MIXED_OPERATORS = {
  '+': (a: number, b: number) => a + b,
  '-': (a: number, b: number) => a - b,
  '*': (a: number, b: number) => a * b,
  '/': (a: number, b: number) => a / b,
} as const;

const FUNCTIONS = {
  abs: Math.abs,
  sqrt: Math.sqrt,
  log: Math.log,
  exp: Math.exp,
  floor: Math.floor,
  ceil: Math.ceil,
} as const;

/**
 * Compiles a CEL expression. Throws INVALID_ARGUMENT with the position of a syntax error, or the name of a variable
 * that is not among `variables`. Values from outside are doubles; unlike in plain CEL, a double and an integer may be
 * added, subtracted, multiplied and divided (`score + 1`). Two integers keep CEL's integer division (`1 / 2` is 0).
 * Functions in addition to CEL's own: abs, sqrt, log, exp, floor, ceil, min and max of two numbers.
 */
export function compileExpression(
  text: string,
  variables: Readonly<Record<string, VariableKind>>,
): Expression {
  const parsed = parseChecked(text, variables);
  return (scope) => {
    let value: unknown;
    try {
      value = parsed(scope);
    } catch (cause) {
      throw new HotloopError('INVALID_ARGUMENT', `the expression cannot be evaluated: ${summaryOf(cause)}`, {
        reason: 'expression_failed',
        cause,
      });
    }
    return plain(value);
  };
}

/** One step of an expression: `op` is `+`, `?:`, `.`, `value`, `id`, `call` and so on, `args` what it works on. */
export interface ExpressionNode {
  readonly op: string;
  readonly args: unknown;
}

/** The same text as a tree, for a translation into something else than JavaScript. Throws as `compileExpression`. */
export function parseExpression(
  text: string,
  variables: Readonly<Record<string, VariableKind>>,
): ExpressionNode {
  return parseChecked(text, variables).ast as ExpressionNode;
}

const ARITHMETIC: ReadonlySet<string> = new Set(['+', '-', '*', '/', '%', '-_']);

/** Whether an expression can be true or false, as far as that is known without values. Throws as `compileExpression`. */
export function isCondition(text: string, variables: Readonly<Record<string, VariableKind>>): boolean {
  const parsed = parseChecked(text, variables);
  const type = String(parsed.check().type);
  return type === 'bool' || (type === 'dyn' && !ARITHMETIC.has((parsed.ast as ExpressionNode).op));
}

function parseChecked(text: string, variables: Readonly<Record<string, VariableKind>>) {
  if (text.length > MAX_CHARACTERS) throw refused(`it has more than ${MAX_CHARACTERS} characters`);
  const parsed = parse(environmentFor(variables), text);
  const checked = parsed.check();
  if (!checked.valid) throw refusedBy(checked.error, variables);
  return parsed;
}

function environmentFor(variables: Readonly<Record<string, VariableKind>>): Environment {
  const environment = new Environment({
    unlistedVariablesAreDyn: false,
    homogeneousAggregateLiterals: false,
    limits: LIMITS,
  });
  for (const [name, kind] of Object.entries(variables)) environment.registerVariable(name, CEL_TYPES[kind]);
  for (const [operator, apply] of Object.entries(MIXED_OPERATORS)) {
    const mixed = (a: unknown, b: unknown) => apply(Number(a), Number(b));
    environment.registerOperator(`double ${operator} int: double`, mixed);
    environment.registerOperator(`int ${operator} double: double`, mixed);
  }
  for (const [name, apply] of Object.entries(FUNCTIONS))
    for (const type of ['double', 'int'])
      environment.registerFunction(`${name}(${type}): double`, (value: unknown) => apply(Number(value)));
  for (const [name, apply] of Object.entries({ min: Math.min, max: Math.max }))
    for (const [a, b] of [
      ['double', 'double'],
      ['double', 'int'],
      ['int', 'double'],
      ['int', 'int'],
    ])
      environment.registerFunction(`${name}(${a}, ${b}): double`, (x: unknown, y: unknown) =>
        apply(Number(x), Number(y)),
      );
  return environment;
}

function parse(environment: Environment, text: string) {
  try {
    return environment.parse(text);
  } catch (error) {
    throw refused(summaryOf(error), error);
  }
}

function refusedBy(error: unknown, variables: Readonly<Record<string, VariableKind>>): HotloopError {
  const summary = summaryOf(error);
  const known = Object.keys(variables).join(', ');
  const isUnknown = codeOf(error) === 'unknown_variable';
  return refused(isUnknown ? `${lowerFirst(summary)}; it may use ${known}` : summary, error);
}

function refused(problem: string, cause?: unknown): HotloopError {
  return new HotloopError('INVALID_ARGUMENT', `the expression is wrong: ${problem}`, {
    reason: 'invalid_expression',
    cause,
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** The library's one-line summary of an error, with the position in the expression if known. */
function summaryOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  const summary = 'summary' in error && typeof error.summary === 'string' ? error.summary : error.message;
  const line = (summary.split('\n')[0] ?? '').slice(0, 200);
  const range = 'range' in error ? (error.range as { start?: unknown } | undefined) : undefined;
  return typeof range?.start === 'number' ? `${line} (at character ${range.start + 1})` : line;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

/** Converts CEL's integers, which are bigint, to numbers for the code outside this file. */
function plain(value: unknown): ExpressionValue {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean') return value;
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || value === undefined) return null;
  throw new HotloopError(
    'INVALID_ARGUMENT',
    'the result of the expression is not a number, a text, a flag or a list',
    {
      reason: 'expression_failed',
    },
  );
}
