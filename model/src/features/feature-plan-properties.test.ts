import { HotloopError } from '@hotloop/proto/errors.ts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Manifest } from '../manifest/manifest.ts';
import { type ArbitraryPrediction, arbitraryPrediction, NOW_MS } from '../testing/arbitrary-prediction.ts';
import { record } from '../testing/manifests.ts';
import { referenceRows } from '../testing/reference-plan.ts';
import { eventList } from './event-list.ts';
import { compileFeaturePlan, type FeatureRows } from './feature-plan.ts';
import type { Feature } from './feature-schema.ts';
import type { HistoryEvent, HistoryRead } from './history.ts';

const floats = (rows: FeatureRows): number[] => [...new Float32Array(rows.features.buffer)];

/** Runs the plan of `manifest` on a prediction; undefined when it rejects the prediction. */
function run(prediction: ArbitraryPrediction, manifest = prediction.manifest): FeatureRows | undefined {
  const plan = compileFeaturePlan(manifest);
  const answers = plan.reads(prediction.input, NOW_MS).map((read) => eventList(answer(prediction, read)));
  try {
    return plan.run(prediction.input, answers, NOW_MS);
  } catch (error) {
    if (error instanceof HotloopError && error.code === 'INVALID_ARGUMENT') return undefined;
    throw error;
  }
}

function answer({ history }: ArbitraryPrediction, read: HistoryRead): readonly HistoryEvent[] {
  const all = history.get(`${read.entity}:${read.entityId}:${read.event}`) ?? [];
  const found = all.filter(({ atMs }) => atMs >= read.sinceMs).slice(0, read.limit);
  return read.fields ? found : found.map((event) => ({ ...event, fields: record({}) }));
}

function expectedOf({ manifest, input, history }: ArbitraryPrediction): number[][] | undefined {
  const eventsOf = (entity: string, id: string, type: string) => history.get(`${entity}:${id}:${type}`) ?? [];
  return referenceRows(manifest, input, eventsOf, NOW_MS);
}

/** Describes the difference between expected and computed rows; empty when there is none. */
function disagreement(expected: number[][] | undefined, rows: FeatureRows | undefined): string {
  if (expected === undefined || rows === undefined)
    return expected === rows ? '' : `only one rejects: ${expected ? 'the plan' : 'the reference'}`;
  const made = floats(rows);
  const wanted = expected.flat();
  if (made.length !== wanted.length || made.length !== rows.rows * rows.columns) return 'another size';
  for (const [index, value] of wanted.entries()) {
    const difference = Math.abs((made[index] ?? Number.NaN) - value);
    // Written so that NaN counts as a difference.
    if (!(difference <= Math.abs(value) * 1e-6)) return `column ${index}: ${made[index]} is not ${value}`;
  }
  return '';
}

describe('feature plan', () => {
  it('equals a naive implementation on any manifest, request and history', () => {
    let answered = 0;
    let refused = 0;
    fc.assert(
      fc.property(arbitraryPrediction, (prediction) => {
        const expected = expectedOf(prediction);
        if (expected) answered++;
        else refused++;
        expect(disagreement(expected, run(prediction))).toBe('');
      }),
      { numRuns: 2000 },
    );
    // The test would be weak if nearly all cases were rejected, or none.
    expect(Math.min(answered, refused)).toBeGreaterThan(200);
  });

  it('permutes its rows with the candidates', () => {
    const ranked = arbitraryPrediction.filter(({ input }) => input.candidates.length > 1);
    fc.assert(
      fc.property(ranked, fc.nat(), (prediction, turn) => {
        const { candidates } = prediction.input;
        const by = 1 + (turn % (candidates.length - 1));
        const turned = [...candidates.slice(by), ...candidates.slice(0, by)];
        const rows = run(prediction);
        const other = run({ ...prediction, input: { ...prediction.input, candidates: turned } });
        expect(other === undefined).toBe(rows === undefined);
        if (!rows || !other) return;
        const row = (of: FeatureRows, index: number) =>
          floats(of).slice(index * of.columns, (index + 1) * of.columns);
        const features = rows.statuses.length / rows.rows;
        for (const index of candidates.keys()) {
          const moved = (index - by + candidates.length) % candidates.length;
          expect(row(other, moved)).toEqual(row(rows, index));
          expect(other.statuses.slice(moved * features, (moved + 1) * features)).toEqual(
            rows.statuses.slice(index * features, (index + 1) * features),
          );
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('the comparison with the naive implementation', () => {
  /** Simulated bugs of a plan: the plan gets a changed manifest, the naive implementation the original. */
  const planted: [string, (feature: Feature) => Feature][] = [
    ['ignores the window', ({ window: _, ...feature }) => feature],
    ['ignores the maximum age', ({ max_age: _, ...feature }) => feature],
    ['ignores the range', ({ range: _, ...feature }) => feature],
    ['ignores the missing value', ({ missing: _, ...feature }) => feature],
    [
      'counts instead of summing',
      (feature) => ({ ...feature, from: feature.from.replace(/sum\(\w+\)/, 'count') }),
    ],
    ['reads another event', (feature) => ({ ...feature, from: feature.from.replace('.view.', '.buy.') })],
    ['omits the last step', (feature) => withSteps(feature, (steps) => steps.slice(0, -1))],
    ['runs the steps in reverse', (feature) => withSteps(feature, (steps) => steps.toReversed())],
  ];

  function withSteps(
    feature: Feature,
    change: (steps: Feature['transform']) => Feature['transform'],
  ): Feature {
    const changed = { ...feature, transform: change(feature.transform) };
    const isSound =
      feature.type === 'number' &&
      !feature.transform.some((step) => typeof step === 'object' && 'one_hot' in step);
    return isSound ? changed : feature;
  }

  it.each(planted)('detects a plan that %s', (_, change) => {
    const found = fc.check(
      fc.property(arbitraryPrediction, (prediction) => {
        const manifest: Manifest = {
          ...prediction.manifest,
          features: prediction.manifest.features.map(change),
        };
        return disagreement(expectedOf(prediction), run(prediction, manifest)) === '';
      }),
      { numRuns: 2000, endOnFailure: true },
    );
    expect(found.failed).toBe(true);
  });

  it('detects one wrong number, a NaN, and rows in another order', () => {
    const rows = (...numbers: number[]): FeatureRows => ({
      ...{ rows: numbers.length, columns: 1, tensors: [], statuses: new Uint8Array(numbers.length) },
      features: new Uint8Array(Float32Array.from(numbers).buffer),
    });
    expect(disagreement([[1], [2]], rows(1, 2))).toBe('');
    for (const wrong of [rows(1, 2.001), rows(1, Number.NaN), rows(2, 1), rows(1)])
      expect(disagreement([[1], [2]], wrong)).not.toBe('');
  });
});
