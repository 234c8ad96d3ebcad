import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileExpression } from './expression.ts';

const variables = { score: 'number', item: 'record', request: 'record', name: 'text' } as const;

function evaluate(text: string, scope: Record<string, unknown>) {
  return compileExpression(text, variables)(scope);
}

describe('an expression', () => {
  it.each([
    ['0.9 * score + item.margin', { score: 0.5, item: { margin: 2 } }, 2.45],
    ['score + 1', { score: 0.5 }, 1.5],
    ['2 * 3 + score', { score: 1 }, 7],
    ['(score + 1) / 2', { score: 1 }, 1],
    ['item.count + 1', { item: { count: 4 } }, 5],
    ['item.count > 3 && item.kind == "shoe"', { item: { count: 4, kind: 'shoe' } }, true],
    ['has(item.margin) ? item.margin : 0', { item: {} }, 0],
    ['size(item.tags) * score', { score: 2, item: { tags: ['a', 'b'] } }, 4],
    ['item.values[1] + 1.5', { item: { values: [1, 2] } }, 3.5],
    ['"a" in item.tags', { item: { tags: ['a'] } }, true],
    ['name + "!"', { name: 'x' }, 'x!'],
    ['max(score, 1) + abs(-2)', { score: 0.5 }, 3],
    ['-1 * score', { score: 2 }, -2],
    ['[1, score]', { score: 2 }, [1, 2]],
  ])('evaluates %s', (text, scope, value) => {
    expect(evaluate(text, scope)).toEqual(value);
  });

  it('mixes integers and doubles as in usual arithmetic', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -1000, max: 1000 }),
        fc.double({ noNaN: true, min: -1e6, max: 1e6 }),
        (whole, x) => {
          const literal = whole < 0 ? `(${whole})` : String(whole);
          expect(evaluate(`${literal} + score`, { score: x })).toBe(whole + x);
          expect(evaluate(`score * ${literal}`, { score: x })).toBe(x * whole);
          expect(evaluate(`score - ${literal}`, { score: x })).toBe(x - whole);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('rejects an unknown variable at compile time and names it', () => {
    expect(() => compileExpression('scor + 1', variables)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('scor') }),
    );
    expect(() => compileExpression('scor + 1', variables)).toThrow(/may use score, item, request, name/);
  });

  it('refuses a syntax error and a type error at compile time and says where', () => {
    expect(() => compileExpression('1 +', variables)).toThrow(/at character 4/);
    expect(() => compileExpression('name + 1', variables)).toThrow(/string \+ int/);
    expect(() => compileExpression('score ? 1 : 2', variables)).toThrow(/must be bool/);
  });

  it('rejects expressions that are too large', () => {
    expect(() => compileExpression('1+'.repeat(1500), variables)).toThrow(/2000 characters/);
    expect(() => compileExpression(`${'('.repeat(200)}1${')'.repeat(200)}`, variables)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });

  it('throws INVALID_ARGUMENT that names the key when a record lacks it', () => {
    expect(() => evaluate('item.margin + 1.0', { item: {} })).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('margin') }),
    );
  });

  it.each(['item.__proto__', 'item.constructor', 'item.toString', 'item.hasOwnProperty'])(
    'cannot reach the prototype through %s',
    (text) => {
      expect(() => evaluate(text, { item: {} })).toThrow(/No such key/);
    },
  );
});
