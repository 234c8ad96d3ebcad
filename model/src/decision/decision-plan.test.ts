import { HotloopError } from '@hotloop/proto/errors.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { manifestSchema } from '../manifest/manifest.ts';
import type { AttributeValue } from '../value.ts';
import type { DecisionInput } from './decision.ts';
import { compileDecisionPlan } from './decision-plan.ts';

type Given = Partial<z.input<typeof manifestSchema>>;

const manifestOf = (given: Given) =>
  manifestSchema.parse({ name: 'model', features: [{ name: 'x', from: 'request.x' }], ...given });

const planOf = (given: Given) => compileDecisionPlan(manifestOf(given));

function record<T>(values: Record<string, T>): Record<string, T> {
  return Object.assign(Object.create(null) as Record<string, T>, values);
}

interface Shown {
  id: string;
  attributes?: Record<string, AttributeValue>;
}

function inputOf(
  scores: readonly number[],
  given: {
    candidates?: Shown[];
    request?: Record<string, AttributeValue>;
    excluded?: string[];
    name?: string;
  } = {},
): DecisionInput {
  return {
    predictionId: '0197f0a0-0000-7000-8000-000000000001',
    outputs: [
      {
        name: given.name ?? 'score',
        datatype: 'FP64',
        shape: [scores.length],
        contents: new Uint8Array(Float64Array.from(scores).buffer),
      },
    ],
    candidates: (given.candidates ?? []).map(({ id, attributes = {} }) => ({
      id,
      attributes: record(attributes),
    })),
    request: record(given.request ?? {}),
    entities: record({ user: 'u1' }),
    excluded: given.excluded ?? [],
  };
}

function refusal(act: () => unknown): HotloopError {
  try {
    act();
  } catch (error) {
    if (error instanceof HotloopError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('binary', () => {
  it('chooses the positive label at or above the threshold', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (score, threshold) => {
          const plan = planOf({ decision: { threshold, labels: ['leaves', 'buys'] } });
          const expected = score >= threshold ? 'buys' : 'leaves';
          expect(plan.decide(inputOf([score]))).toEqual({ label: expected, score, scores: [], ranked: [] });
        },
      ),
    );
  });

  it('labels 0 and 1 without declared labels, and reads the second of two numbers', () => {
    const plan = planOf({});
    expect(plan.decide(inputOf([0.3, 0.7])).label).toBe('1');
    expect(plan.decide(inputOf([0.7, 0.3])).label).toBe('0');
  });

  it('reads the output named in the manifest', () => {
    const plan = planOf({ output: 'probabilities' });
    const input = inputOf([0.9], { name: 'probabilities' });
    const other = inputOf([0.1]).outputs;
    expect(plan.decide({ ...input, outputs: [...other, ...input.outputs] }).score).toBe(0.9);
  });

  it('combines the score with the request and the entities before the threshold', () => {
    const plan = planOf({
      decision: { combine: "score * request.weight + (entities.user == 'u1' ? 1 : 0)" },
    });
    expect(plan.decide(inputOf([0.5], { request: { weight: 0.5 } })).score).toBe(1.25);
  });
});

describe('multiclass', () => {
  it('chooses the label of the largest probability, the first of equal ones', () => {
    const probabilities = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), {
      minLength: 2,
      maxLength: 6,
    });
    fc.assert(
      fc.property(probabilities, (scores) => {
        const labels = scores.map((_, index) => `l${index}`);
        const decision = planOf({ task: 'multiclass', decision: { labels } }).decide(inputOf(scores));
        const best = Math.max(...scores);
        expect(decision).toMatchObject({
          label: `l${scores.indexOf(best)}`,
          score: best,
          scores,
          ranked: [],
        });
      }),
    );
  });
});

describe('regression', () => {
  it('returns the value', () => {
    expect(planOf({ task: 'regression' }).decide(inputOf([-12.5]))).toEqual({
      ...{ label: '', score: -12.5, scores: [], ranked: [] },
    });
  });
});

describe('ranking', () => {
  const candidates = [
    { id: 'a', attributes: { margin: 1 } },
    { id: 'b', attributes: { margin: 0 } },
    { id: 'c', attributes: { margin: 3 } },
  ];

  it('ranks by the combined score, without excluded candidates, and returns all scores in the order of the request', () => {
    const plan = planOf({
      task: 'ranking',
      decision: { combine: '0.9 * score + 0.1 * item.margin', rank: { top_k: 2 } },
    });
    const decision = plan.decide(inputOf([0, 1, 0.5], { candidates, excluded: ['b'] }));
    expect(decision.ranked.map(({ id, rank }) => [id, rank])).toEqual([
      ['c', 1],
      ['a', 2],
    ]);
    expect(decision.scores.map((score) => Number(score.toFixed(6)))).toEqual([0.1, 0.9, 0.75]);
    expect(decision.score).toBeCloseTo(0.75, 12);
  });

  it('shows ten without a declared top_k', () => {
    const many = Array.from({ length: 25 }, (_, index) => ({ id: `c${index}` }));
    const decision = planOf({ task: 'ranking' }).decide(
      inputOf(
        many.map((_, index) => index),
        { candidates: many },
      ),
    );
    expect(decision.ranked.map(({ id }) => id)).toEqual([...Array(10).keys()].map((at) => `c${24 - at}`));
  });

  it('shows nothing when all are excluded', () => {
    const decision = planOf({ task: 'ranking' }).decide(
      inputOf([1, 2, 3], { candidates, excluded: ['a', 'b', 'c'] }),
    );
    expect(decision).toMatchObject({ score: 0, ranked: [], scores: [1, 2, 3] });
  });

  it('explores a share of predictions, with the declared propensities', () => {
    const plan = planOf({ task: 'ranking', decision: { explore: { epsilon: 0.6 } } });
    const decision = plan.decide(inputOf([3, 2, 1], { candidates }));
    for (const { propensity } of decision.ranked)
      expect([0.2, 0.6].some((allowed) => Math.abs(allowed - propensity) < 1e-12)).toBe(true);
  });
});

describe('outputs that do not fit the task are rejected', () => {
  const candidates = [{ id: 'a' }, { id: 'b' }];
  const cases: [string, Given, DecisionInput, string][] = [
    ['three numbers for binary', {}, inputOf([0.1, 0.2, 0.7]), 'score'],
    ['a logit for binary', {}, inputOf([3.2]), 'Sigmoid'],
    ['a missing output', { output: 'probability' }, inputOf([0.5]), 'probability'],
    ['no output at all', {}, { ...inputOf([0.5]), outputs: [] }, 'no output'],
    [
      'too few classes',
      { task: 'multiclass', decision: { labels: ['x', 'y', 'z'] } },
      inputOf([0.5, 0.5]),
      '3 labels',
    ],
    [
      'a logit among classes',
      { task: 'multiclass', decision: { labels: ['x', 'y'] } },
      inputOf([5, 0.5]),
      'Softmax',
    ],
    ['two values for regression', { task: 'regression' }, inputOf([1, 2]), 'regression'],
    ['a score too few for ranking', { task: 'ranking' }, inputOf([1], { candidates }), '2 candidates'],
  ];
  it.each(cases)('%s', (_, given, input, word) => {
    const error = refusal(() => planOf(given).decide(input));
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(error.message).toContain(word);
  });
});

describe('combine', () => {
  it('is rejected, naming the candidate, when an attribute is missing', () => {
    const plan = planOf({ task: 'ranking', decision: { combine: 'score + item.margin' } });
    const error = refusal(() => plan.decide(inputOf([1], { candidates: [{ id: 'a' }] })));
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(error.message).toContain('decision.combine of candidate "a"');
  });

  it.each(["'text'", 'score > 0.0', 'score / 0.0'])(
    '%s is rejected because it gives no finite number',
    (combine) => {
      const error = refusal(() => planOf({ decision: { combine } }).decide(inputOf([0.5])));
      expect(error.message).toContain('decision.combine');
    },
  );

  it('that cannot be parsed is rejected when the plan is compiled', () => {
    expect(() => planOf({ decision: { combine: 'score +' } })).toThrow(HotloopError);
    expect(() => planOf({ decision: { combine: 'margin * 2' } })).toThrow(HotloopError);
  });
});

describe('a manifest with an invalid decision is rejected', () => {
  const cases: [string, Given, string][] = [
    ['raw tensors', { task: 'tensor', features: [] }, 'tensor'],
    ['three labels for binary', { decision: { labels: ['a', 'b', 'c'] } }, 'labels'],
    [
      'a combined multiclass',
      { task: 'multiclass', decision: { labels: ['a', 'b'], combine: 'score' } },
      'combine',
    ],
  ];
  it.each(cases)('%s', (_, given, word) => {
    const error = refusal(() => planOf(given));
    expect(error.code).toBe('FAILED_PRECONDITION');
    expect(error.message).toContain(word);
  });
});

describe('a multilabel decision', () => {
  const given: Given = {
    ...{ task: 'multilabel', decision: { labels: ['toys', 'books', 'food'], threshold: 0.5 } },
  };

  it('names every label whose probability reaches the threshold, in the order of the labels', () => {
    const plan = planOf(given);
    expect(plan.decide(inputOf([0.5, 0.2, 0.9]))).toMatchObject({
      ...{ label: 'toys,food', score: 0.9, scores: [0.5, 0.2, 0.9] },
    });
    expect(plan.decide(inputOf([0.1, 0.2, 0.3]))).toMatchObject({ label: '', score: 0.3 });
  });

  it('rejects outputs that are not one probability per label', () => {
    const plan = planOf(given);
    expect(() => plan.decide(inputOf([0.5, 0.2]))).toThrow('2 numbers for 3 labels');
    expect(() => plan.decide(inputOf([0.5, 0.2, 1.5]))).toThrow();
  });
});
