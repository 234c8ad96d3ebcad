import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type JoinPrediction,
  type JoinResult,
  type JoinSpec,
  joinOutcomes,
  type OutcomeEvent,
} from './join.ts';

const WINDOW = 60_000;
const T0 = 1_700_000_000_000;
const P1 = '018bcfe5-6800-7000-8000-000000000001';

const spec = (change: Partial<JoinSpec> = {}): JoinSpec => ({
  keys: [],
  windowMs: WINDOW,
  otherwise: null,
  labelOf: (event) => (typeof event.value === 'number' ? event.value : null),
  ...change,
});

const prediction = (change: Partial<JoinPrediction> = {}): JoinPrediction => ({
  predictionId: P1,
  at: T0,
  entities: { user: 'u1' },
  candidates: [],
  rows: 1,
  shown: null,
  ...change,
});

const event = (change: Partial<OutcomeEvent> = {}): OutcomeEvent => ({
  id: 'o1',
  source: 'sdk',
  kind: 'label',
  predictionId: P1,
  keys: {},
  value: 1,
  attributes: {},
  occurredAt: T0 + 1000,
  ...change,
});

const labels = (result: JoinResult) => result.examples.map(({ row, label }) => [row, label]);
const later = T0 + 10 * WINDOW;

describe('joining by prediction id', () => {
  it('labels the prediction that the outcome names', () => {
    const result = joinOutcomes([prediction()], [event({ value: 0 })], spec(), later);
    expect(result).toMatchObject({
      examples: [{ predictionId: P1, row: 0, label: 0, open: false }],
      pending: 0,
    });
  });

  it('keeps the latest event, whenever it arrived', () => {
    const first = event({ id: 'a', value: 1, occurredAt: T0 + 1000 });
    const correction = event({ id: 'b', value: 0, occurredAt: T0 + 2000 });
    for (const events of [
      [first, correction],
      [correction, first],
    ])
      expect(labels(joinOutcomes([prediction()], events, spec(), later))).toEqual([[0, 0]]);
  });

  it('prefers an analyst to an automatic source, even when the automatic one is later', () => {
    const analyst = event({ id: 'a', source: 'analyst:ada', value: 0 });
    const automatic = event({ id: 'b', value: 1, occurredAt: T0 + 5000 });
    expect(labels(joinOutcomes([prediction()], [analyst, automatic], spec(), later))).toEqual([[0, 0]]);
  });

  it('removes a retracted label, and keeps that of the other kind of source', () => {
    const label = event({ id: 'a' });
    const retraction = event({ id: 'b', kind: 'retract', value: null, occurredAt: T0 + 2000 });
    expect(labels(joinOutcomes([prediction()], [label, retraction], spec(), later))).toEqual([]);
    const analyst = event({ id: 'c', source: 'analyst', value: 0 });
    expect(labels(joinOutcomes([prediction()], [label, retraction, analyst], spec(), later))).toEqual([
      [0, 0],
    ]);
    const withdrawn = { ...retraction, id: 'd', source: 'analyst' };
    expect(labels(joinOutcomes([prediction()], [label, analyst, withdrawn], spec(), later))).toEqual([
      [0, 1],
    ]);
  });

  it('counts a label that was given after a retraction', () => {
    const events = [
      event({ id: 'a' }),
      event({ id: 'b', kind: 'retract', occurredAt: T0 + 2000 }),
      event({ id: 'c', value: 0, occurredAt: T0 + 3000 }),
    ];
    expect(labels(joinOutcomes([prediction()], events, spec(), later))).toEqual([[0, 0]]);
  });

  it.each([
    ['five seconds early is the clocks', T0 - 5_000, 1, undefined],
    ['more than that is not its outcome', T0 - 5_001, 0, 'too_early'],
    ['the end of the window is in it', T0 + WINDOW, 1, undefined],
    ['after the window is late', T0 + WINDOW + 1, 0, 'outside_window'],
  ])('%s', (_title, occurredAt, examples, reason) => {
    const result = joinOutcomes([prediction()], [event({ occurredAt })], spec(), later);
    expect(result.examples).toHaveLength(examples);
    expect(result.unmatched[0]?.reason).toBe(reason);
  });

  it('accepts analysts and retractions after the window', () => {
    const late = { occurredAt: T0 + 3 * WINDOW };
    const analyst = event({ ...late, source: 'analyst', value: 0 });
    expect(labels(joinOutcomes([prediction()], [analyst], spec(), later))).toEqual([[0, 0]]);
    const retraction = event({ ...late, id: 'r', kind: 'retract' });
    expect(labels(joinOutcomes([prediction()], [event(), retraction], spec(), later))).toEqual([]);
  });

  it('counts an outcome whose prediction is not known', () => {
    const stranger = event({ predictionId: '018bcfe5-6800-7000-8000-00000000ffff' });
    expect(joinOutcomes([prediction()], [stranger], spec(), later)).toMatchObject({
      examples: [],
      unmatched: [{ reason: 'unknown_prediction' }],
    });
  });

  it('needs the item to distinguish the candidates of one prediction', () => {
    const ranking = prediction({ candidates: ['a', 'b'], rows: 2 });
    const bare = joinOutcomes([ranking], [event()], spec(), later);
    expect(bare.unmatched[0]?.reason).toBe('no_row');
    expect(labels(joinOutcomes([ranking], [event({ keys: { item: 'b' } })], spec(), later))).toEqual([
      [1, 1],
    ]);
    const unknown = joinOutcomes([ranking], [event({ keys: { item: 'z' } })], spec(), later);
    expect(unknown.unmatched[0]?.reason).toBe('no_row');
  });
});

describe('the default label', () => {
  it('is given when the window has ended, and not before', () => {
    const negative = spec({ otherwise: 0 });
    expect(joinOutcomes([prediction()], [], negative, T0 + WINDOW - 1)).toMatchObject({
      examples: [],
      pending: 1,
    });
    expect(joinOutcomes([prediction()], [], negative, T0 + WINDOW)).toMatchObject({
      examples: [{ label: 0, outcome: null, open: false }],
      pending: 0,
    });
    expect(joinOutcomes([prediction()], [], spec(), later)).toMatchObject({ examples: [], unanswered: 1 });
  });

  it('is not given to a candidate that was not shown', () => {
    const ranking = prediction({ candidates: ['a', 'b', 'c'], rows: 3, shown: new Set(['a', 'b']) });
    const bought = event({ keys: { item: 'b' } });
    const result = joinOutcomes([ranking], [bought], spec({ otherwise: 0 }), later);
    expect(labels(result)).toEqual([
      [0, 0],
      [1, 1],
    ]);
    expect(result.unanswered).toBe(1);
  });

  it('is given when the event was no label', () => {
    const view = event({ value: null });
    const result = joinOutcomes([prediction()], [view], spec({ otherwise: 0 }), later);
    expect(result).toMatchObject({ examples: [{ label: 0 }], unmatched: [] });
  });
});

describe('joining by keys', () => {
  const keyed = spec({ keys: ['user', 'item'], otherwise: 0 });
  const ranking = prediction({ candidates: ['a', 'b'], rows: 2 });
  const purchase = (change: Partial<OutcomeEvent> = {}) =>
    event({ predictionId: null, keys: { user: 'u1', item: 'b' }, ...change });

  it('finds the candidate by the item and the prediction by the entity', () => {
    expect(labels(joinOutcomes([ranking], [purchase()], keyed, later))).toEqual([
      [0, 0],
      [1, 1],
    ]);
  });

  it('matches every prediction whose window contains the event', () => {
    const second = { ...ranking, predictionId: '018bcfe5-6800-7000-8000-000000000002', at: T0 + 500 };
    const third = { ...ranking, predictionId: '018bcfe5-6800-7000-8000-000000000003', at: T0 + 20_000 };
    const result = joinOutcomes([ranking, second, third], [purchase()], keyed, later);
    expect(
      result.examples.filter(({ label }) => label === 1).map(({ predictionId }) => predictionId),
    ).toEqual([ranking.predictionId, second.predictionId]);
  });

  it.each([
    ['another user', { user: 'u2', item: 'b' }],
    ['another item', { user: 'u1', item: 'z' }],
    ['a missing key', { user: 'u1' }],
    ['a name of the prototype', { user: 'u1', constructor: 'b' }],
  ])('does not match %s', (_title, keys) => {
    const result = joinOutcomes([ranking], [purchase({ keys })], keyed, later);
    expect(result.unmatched).toMatchObject([{ reason: 'unknown_prediction' }]);
  });

  it('treats item as an entity if there are no candidates', () => {
    const scored = prediction({ entities: { user: 'u1', item: 'b' } });
    expect(labels(joinOutcomes([scored], [purchase()], keyed, later))).toEqual([[0, 1]]);
  });
});

const arbitraryPrediction = fc
  .record({
    number: fc.integer({ min: 1, max: 6 }),
    at: fc.integer({ min: T0, max: T0 + 3 * WINDOW }),
    user: fc.constantFrom('u1', 'u2'),
    candidates: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { maxLength: 3 }),
  })
  .map(({ number, at, user, candidates }) =>
    prediction({
      predictionId: P1.slice(0, -1) + number,
      at,
      entities: { user },
      candidates,
      rows: Math.max(1, candidates.length),
    }),
  );

const arbitraryEvent = fc
  .record({
    id: fc.constantFrom('e1', 'e2', 'e3', 'e4', 'e5', 'e6', 'e7', 'e8'),
    source: fc.constantFrom('sdk', 'kafka:t', 'analyst:ada'),
    kind: fc.constantFrom('label' as const, 'retract' as const),
    number: fc.option(fc.integer({ min: 1, max: 7 })),
    user: fc.constantFrom('u1', 'u2'),
    item: fc.constantFrom('a', 'b', 'c'),
    value: fc.constantFrom(0, 1, null),
    occurredAt: fc.integer({ min: T0 - 10_000, max: T0 + 5 * WINDOW }),
  })
  .map(({ number, user, item, ...rest }) =>
    event({ ...rest, predictionId: number === null ? null : P1.slice(0, -1) + number, keys: { user, item } }),
  );

/** Each report once, as the store keeps them. */
const arbitraryEvents = fc.uniqueArray(arbitraryEvent, {
  maxLength: 8,
  selector: ({ source, id }) => `${source} ${id}`,
});
const arbitraryPredictions = fc.uniqueArray(arbitraryPrediction, {
  maxLength: 6,
  selector: ({ predictionId }) => predictionId,
});
const arbitrarySpec = fc.record({
  keys: fc.constantFrom([], ['user'], ['user', 'item']),
  otherwise: fc.constantFrom(null, 0),
});

type Join = typeof joinOutcomes;

const orderDoesNotMatter = (join: Join) =>
  fc.property(
    arbitraryPredictions,
    arbitraryEvents.chain((events) =>
      fc.tuple(fc.constant(events), fc.shuffledSubarray(events, { minLength: events.length })),
    ),
    arbitrarySpec,
    fc.integer({ min: T0, max: later }),
    (predictions, [events, shuffled], change, now) => {
      const expected = join(predictions, events, spec(change), now);
      expect(join(predictions.toReversed(), shuffled, spec(change), now)).toEqual(expected);
    },
  );

const duplicatesDoNotMatter = (join: Join) =>
  fc.property(arbitraryPredictions, arbitraryEvents, arbitrarySpec, (predictions, events, change) => {
    const expected = join(predictions, events, spec(change), later);
    expect(join(predictions, [...events, ...events.map((one) => ({ ...one }))], spec(change), later)).toEqual(
      expected,
    );
  });

const timeOnlyAddsLabels = (join: Join) =>
  fc.property(
    arbitraryPredictions,
    arbitraryEvents,
    arbitrarySpec,
    fc.integer({ min: T0, max: later }),
    fc.integer({ min: 0, max: 5 * WINDOW }),
    (predictions, events, change, now, passed) => {
      const known = (at: number) =>
        join(predictions, events, spec(change), at).examples.map(
          ({ predictionId, row, label }) => `${predictionId} ${row} ${label}`,
        );
      expect(known(now + passed)).toEqual(expect.arrayContaining(known(now)));
    },
  );

/** The join as one would write it in haste: whatever came last wins, and silence is a no from the start. */
const hastyJoin: Join = (predictions, events, joinSpec, now) => {
  const result = joinOutcomes(predictions, events, joinSpec, now);
  const lastOf = new Map(events.map((one) => [one.predictionId, one]));
  return {
    ...result,
    pending: result.pending + events.length,
    examples: predictions.map(({ predictionId, at }) => {
      const outcome = lastOf.get(predictionId) ?? null;
      const answered = outcome !== null && outcome.occurredAt <= now;
      return { predictionId, row: 0, at, label: answered ? 1 : 0, outcome, open: false };
    }),
  };
};

function holds<T>(property: (join: Join) => fc.IProperty<T>): void {
  void fc.assert(property(joinOutcomes), { numRuns: 1_000 });
  const planted = fc.check(property(hastyJoin), { numRuns: 1_000 });
  expect(planted.failed, 'the property must find the planted mistake').toBe(true);
}

describe('whatever the events', () => {
  it('the order of arrival does not matter', () => holds(orderDoesNotMatter));
  it('repetition does not matter', () => holds(duplicatesDoNotMatter));
  it('time only adds labels', () => holds(timeOnlyAddsLabels));
});

describe('10,000 orders of arrival', () => {
  it('give the same labels', () => {
    const asked = Array.from({ length: 6 }, (_, index) =>
      prediction({
        predictionId: P1.slice(0, -1) + index,
        at: T0 + index * 10_000,
        entities: { user: `u${index % 3}` },
      }),
    );
    const happened = Array.from({ length: 24 }, (_, index) =>
      event({
        id: `o${index}`,
        source: index % 5 === 0 ? 'analyst:ada' : 'sdk',
        kind: index % 7 === 0 ? 'retract' : 'label',
        predictionId: index % 2 === 0 ? P1.slice(0, -1) + (index % 6) : null,
        keys: { user: `u${index % 3}` },
        value: index % 4,
        occurredAt: T0 + (index % 9) * 7_000,
      }),
    );
    const rule = spec({ keys: ['user'], otherwise: 0 });
    const known = JSON.stringify(joinOutcomes(asked, happened, rule, later));
    const orders = fc.shuffledSubarray(happened, { minLength: happened.length, maxLength: happened.length });
    void fc.assert(
      fc.property(
        orders,
        fc.shuffledSubarray(asked, { minLength: 6, maxLength: 6 }),
        (events, predictions) => {
          expect(
            JSON.stringify(joinOutcomes(predictions, [...events, ...events.slice(0, 5)], rule, later)),
          ).toBe(known);
        },
      ),
      { numRuns: 10_000 },
    );
  });
});
