import { HotloopError } from '@hotloop/proto/errors.ts';
import { describe, expect, it } from 'vitest';
import { NOW_MS } from '../testing/arbitrary-prediction.ts';
import { manifestOf, record } from '../testing/manifests.ts';
import { eventList, NO_EVENTS } from './event-list.ts';
import {
  compileFeaturePlan,
  type FeatureInput,
  type FeatureRows,
  type HistoryAnswers,
} from './feature-plan.ts';
import type { HistoryEvent } from './history.ts';

const floats = (rows: FeatureRows): number[] => [...new Float32Array(rows.features.buffer)];

function inputOf(given: Partial<Record<keyof FeatureInput, unknown>>): FeatureInput {
  const {
    request = {},
    entities = {},
    candidates = [],
  } = given as {
    request?: Record<string, number>;
    entities?: Record<string, string>;
    candidates?: { id: string; attributes?: Record<string, number> }[];
  };
  return {
    request: record(request),
    entities: record(entities),
    candidates: candidates.map(({ id, attributes = {} }) => ({ id, attributes: record(attributes) })),
  };
}

const event = (agoMs: number, fields: Record<string, string | number | boolean> = {}): HistoryEvent => ({
  id: `e${agoMs}`,
  atMs: NOW_MS - agoMs,
  fields: record(fields),
});

function refusal(act: () => unknown): HotloopError {
  try {
    act();
  } catch (error) {
    if (error instanceof HotloopError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('feature plan', () => {
  it('reads no history when no feature needs it', () => {
    const plan = compileFeaturePlan(manifestOf({ features: [{ name: 'price', from: 'request.price' }] }));
    expect(plan.needsHistory).toBe(false);
    expect(plan.reads(inputOf({}), NOW_MS)).toEqual([]);
  });

  it('reads each entity and event type once, however many features use it, and once per candidate', () => {
    const plan = compileFeaturePlan(
      manifestOf({
        task: 'ranking',
        features: [
          { name: 'views', from: 'history.user.view.count', window: '1d' },
          { name: 'spent', from: 'history.user.view.sum(price)', window: '7d' },
          { name: 'popular', from: 'history.item.view.count', window: '1h' },
        ],
        decision: { rank: { exclude: 'history.user.view.item' } },
      }),
    );
    const reads = plan.reads(
      inputOf({ entities: { user: 'u' }, candidates: [{ id: 'a' }, { id: 'b' }] }),
      NOW_MS,
    );
    expect(reads.map(({ entity, entityId, event: type }) => `${entity}:${entityId}:${type}`)).toEqual([
      'user:u:view',
      'item:a:view',
      'item:b:view',
    ]);
    expect(reads.map(({ fields }) => fields)).toEqual([true, false, false]);
    expect(NOW_MS - (reads[1]?.sinceMs ?? 0)).toBe(3_600_000);
  });

  it('marks a history as stale when its newest event is older than max_age, and uses the missing value', () => {
    const manifest = manifestOf({
      features: [
        { name: 'views', from: 'history.user.view.count', window: '1h', max_age: '1d', missing: -1 },
      ],
    });
    const plan = compileFeaturePlan(manifest);
    const input = inputOf({ entities: { user: 'u' } });
    const statusAndValue = (events: HistoryEvent[]) => {
      const rows = plan.run(input, [eventList(events)], NOW_MS);
      return [rows.statuses[0], floats(rows)[0]];
    };
    expect(statusAndValue([event(2 * 86_400_000)])).toEqual([2, -1]);
    expect(statusAndValue([event(2 * 3_600_000)])).toEqual([0, 0]);
    expect(statusAndValue([event(60_000), event(2 * 86_400_000)])).toEqual([0, 1]);
    expect(statusAndValue([])).toEqual([0, 0]);
  });

  it('marks features computed without the history as degraded, and refuses one without a default', () => {
    const features = [
      { name: 'views', from: 'history.user.view.count', missing: 3 },
      { name: 'price', from: 'request.price' },
    ];
    const input = inputOf({ entities: { user: 'u' }, request: { price: 9 } });
    const rows = compileFeaturePlan(manifestOf({ features })).run(input, null, NOW_MS);
    expect([...rows.statuses]).toEqual([4, 0]);
    expect(floats(rows)).toEqual([3, 9]);
    const required = manifestOf({ features: [{ name: 'views', from: 'history.user.view.count' }] });
    const error = refusal(() => compileFeaturePlan(required).run(input, null, NOW_MS));
    expect(error.code).toBe('UNAVAILABLE');
    expect(error.message).toContain('views');
  });

  it('sets all columns of an unknown category to zero', () => {
    const manifest = manifestOf({
      features: [{ name: 'month', from: 'request.month', transform: [{ one_hot: ['Jan', 'Feb'] }] }],
    });
    const plan = compileFeaturePlan(manifest);
    const made = (month: string) => floats(plan.run(inputOf({ request: { month } }), [], NOW_MS));
    expect(made('Feb')).toEqual([0, 1]);
    expect(made('May')).toEqual([0, 0]);
  });

  it('collects the ids that decision.rank.exclude names', () => {
    const plan = compileFeaturePlan(
      manifestOf({
        task: 'ranking',
        features: [{ name: 'price', from: 'item.price' }],
        decision: { rank: { exclude: 'history.user.purchase.item' } },
      }),
    );
    const input = inputOf({ entities: { user: 'u' }, candidates: [{ id: 'a' }] });
    const answers: HistoryAnswers = [
      eventList([event(1, { item: 'a' }), event(2, { item: 'b' }), event(3, { item: 'a' })]),
    ];
    expect(plan.excluded(input, answers)).toEqual(['a', 'b']);
    expect(plan.excluded(input, null)).toEqual([]);
    expect(plan.excluded(inputOf({ candidates: [{ id: 'a' }] }), [])).toEqual([]);
  });
});

describe('feature plan rejects, naming the feature,', () => {
  const features = [
    { name: 'price', from: 'request.price', range: [0, 100] as [number, number] },
    { name: 'month', from: 'request.month', transform: [{ one_hot: ['Jan'] }], missing: 'Jan' },
    { name: 'weekend', from: 'request.weekend', type: 'flag' as const, missing: false },
    { name: 'views', from: 'history.user.view.count', missing: 0 },
    {
      ...{ name: 'at', from: 'request.at', missing: '2026-01-01T00:00:00Z' },
      transform: [{ time: { part: 'hour' as const, as: 'cyclic' as const } }],
    },
    {
      ...{ name: 'ms', from: 'request.ms', type: 'number' as const, missing: 0 },
      transform: [{ time: { part: 'month' as const } }],
    },
  ];
  const plan = compileFeaturePlan(manifestOf({ features }));
  const cases: [string, Record<string, unknown>, string[]][] = [
    ['a missing one', {}, ['price', 'request.price', 'missing']],
    ['a text for a number', { price: 'cheap' }, ['price', 'a number', 'the text "cheap"']],
    ['a flag for a number', { price: true }, ['price', 'a number', 'true']],
    ['a list for a number', { price: [1] }, ['price', 'a number', 'a list of numbers']],
    ['a number for a text', { price: 1, month: 1 }, ['month', 'a text', 'the number 1']],
    ['a number for a flag', { price: 1, weekend: 1 }, ['weekend', 'true or false', 'the number 1']],
    ['one out of range', { price: 101 }, ['price', '[0, 100]', '101']],
    ['not a number', { price: Number.NaN }, ['price', 'finite']],
    ['a list of mixed values for a number', { price: [1, 'a'] }, ['price', 'a list of mixed values']],
    ['a misspelled one', { prise: 1 }, ['price', 'send request.price', 'the request has "prise"']],
    ['a day that does not exist', { price: 1, at: '2026-02-30T00:00:00Z' }, ['at', 'on a day that exists']],
    ['a time beyond all years', { price: 1, ms: 1e300 }, ['ms', 'milliseconds since 1970']],
    ['an infinite one', { price: Number.NEGATIVE_INFINITY }, ['price', 'finite']],
  ];
  it.each(cases)('%s', (_, request, words) => {
    const error = refusal(() => plan.run(inputOf({ request, entities: { user: 'u' } }), [NO_EVENTS], NOW_MS));
    expect(error.code).toBe('INVALID_ARGUMENT');
    for (const word of words) expect(error.message).toContain(word);
  });

  it('a number that float32 cannot hold after its transforms', () => {
    const manifest = manifestOf({
      features: [{ name: 'tiny', from: 'request.x', transform: [{ standardize: { mean: 0, std: 1e-30 } }] }],
    });
    const error = refusal(() =>
      compileFeaturePlan(manifest).run(inputOf({ request: { x: 1e20 } }), [], NOW_MS),
    );
    expect(error.message).toContain('tiny');
  });

  it('one of a candidate, naming the candidate too', () => {
    const manifest = manifestOf({ task: 'ranking', features: [{ name: 'price', from: 'item.price' }] });
    const candidates = [{ id: 'a', attributes: { price: 1 } }, { id: 'b' }];
    const error = refusal(() => compileFeaturePlan(manifest).run(inputOf({ candidates }), [], NOW_MS));
    expect(error.message).toContain('price');
    expect(error.message).toContain('"b"');
  });

  it('one named like a property of every object', () => {
    const manifest = manifestOf({ features: [{ name: 'x', from: 'request.constructor' }] });
    expect(refusal(() => compileFeaturePlan(manifest).run(inputOf({}), [], NOW_MS)).code).toBe(
      'INVALID_ARGUMENT',
    );
  });
});

describe('a manifest that cannot be compiled is rejected, naming the feature', () => {
  type Given = Parameters<typeof manifestOf>[0]['features'];
  const cases: [string, NonNullable<Given>[number]][] = [
    ['text without one_hot or hash', { name: 'bad', from: 'request.x', type: 'text' }],
    ['an entity as a number', { name: 'bad', from: 'entity.user' }],
    ['one_hot before another step', { name: 'bad', from: 'request.x', transform: [{ one_hot: [1] }, 'abs'] }],
    ['a repeated category', { name: 'bad', from: 'request.x', transform: [{ one_hot: ['a', 'a'] }] }],
    ['boundaries that do not ascend', { name: 'bad', from: 'request.x', transform: [{ bucketize: [2, 1] }] }],
    ['an empty scale', { name: 'bad', from: 'request.x', transform: [{ scale: { min: 1, max: 1 } }] }],
    ['an upside-down clip', { name: 'bad', from: 'request.x', transform: [{ clip: [2, 1] }] }],
    ['a missing value of another type', { name: 'bad', from: 'request.x', missing: 'none' }],
    ['a window without history', { name: 'bad', from: 'request.x', window: '1d' }],
    [
      'a range of texts',
      { name: 'bad', from: 'request.x', type: 'text', transform: [{ hash: 9 }], range: [0, 1] },
    ],
    ['an attribute of candidates without ranking', { name: 'bad', from: 'item.x' }],
    [
      'a count as text',
      { name: 'bad', from: 'history.user.view.count', type: 'text', transform: [{ hash: 9 }] },
    ],
  ];
  it.each(cases)('%s', (_, feature) => {
    const error = refusal(() => compileFeaturePlan(manifestOf({ features: [feature] })));
    expect(error.code).toBe('FAILED_PRECONDITION');
    expect(error.message).toContain('bad');
  });
});
