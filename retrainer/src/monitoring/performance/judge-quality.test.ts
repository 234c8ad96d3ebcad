import { manifestSchema } from '@hotloop/model/manifest/manifest.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { describe, expect, it } from 'vitest';
import { lossesOf } from '../incidents/incident.ts';
import type { Signal } from '../signals/signal.ts';
import { judgeLabels } from './judge-labels.ts';
import { judgeQuality, labelledWeeks } from './judge-quality.ts';
import { qualityOverTime } from './quality.ts';
import type { ScoredRow } from './scored-rows.ts';

const DAY = 86_400_000;
const now = 100 * DAY;
const { monitor } = manifestSchema.parse({ name: 'm', features: [{ name: 'x', from: 'request.x' }] });
const seed = 41;

/** 300 rows a day for 30 days; `chance` gives each row's probability of a positive label. */
function rows(chance: (score: number, daysAgo: number, slice: string) => number, delayDays = 0): ScoredRow[] {
  const random = new SeededRandom(seed);
  return Array.from({ length: 9_000 }, (_v, index) => {
    const daysAgo = 30 - index / 300;
    const score = 1 / (1 + Math.exp(-(random.normal() * 1.5 - 0.5)));
    const slice = index % 3 === 0 ? 'country = IT' : 'country = CH';
    const label = daysAgo < delayDays ? null : random.uniform() < chance(score, daysAgo, slice) ? 1 : 0;
    const at = now - daysAgo * DAY;
    return { at, version: 1, score, label, predictionId: String(index), row: 0, slices: [slice] };
  });
}
const judge = (given: readonly ScoredRow[], gate: { value: number } | null = null) =>
  judgeQuality(given, {
    ...{ metric: 'auc', monitor, now },
    gate: gate && { value: gate.value, low: gate.value - 0.01, high: gate.value + 0.01, n: 5_000 },
  });
const names = (signals: readonly Signal[]) =>
  signals.map(({ kind, slice }) => (slice === undefined ? kind : `${kind} where ${slice}`));
const stable = (score: number) => score;

describe(`decay, seed ${seed}`, () => {
  it('is not found where nothing changed', () => {
    expect(judge(rows(stable))).toEqual([]);
    expect(judgeLabels('binary', rows(stable), monitor, now)).toEqual([]);
  });

  it("is measured against the gate's figure where there is one", () => {
    const [found, ...others] = judge(rows(stable), { value: 0.95 });
    expect(others).toEqual([]);
    expect(found).toMatchObject({ kind: 'decay', severity: 'critical' });
    expect(found!.message).toMatch(
      /auc fell from 0\.950 as the gate measured it to 0\.\d+; 100 % of the rows/,
    );
    expect(judge(rows(stable), { value: 0.8 })).toEqual([]);
  });

  it('waits for late labels, and then judges the newest week that has them', () => {
    const late = rows((score, daysAgo) => (daysAgo < 14 ? 0.3 : score), 6);
    const weeks = labelledWeeks(late, now);
    expect((now - weeks.maturedUntil) / DAY).toBe(6);
    expect(weeks.maturedShare).toBe(1);
    expect(names(judge(late))).toContain('decay');
    // Days whose labels have not arrived yet are not judged.
    expect(judge(rows((score, daysAgo) => (daysAgo < 6 ? 0.3 : score), 6))).toEqual([]);
  });

  it('is found in one slice if the total does not show it', () => {
    const found = judge(
      rows((score, daysAgo, slice) => (slice === 'country = IT' && daysAgo < 7 ? 0.4 : score)),
    );
    expect(names(found)).toContain('decay where country = IT');
    expect(names(found)).not.toContain('decay where country = CH');
  });
});

describe('labels', () => {
  it('drift when their share changes, and report a changed meaning when scores do not', () => {
    const found = judgeLabels(
      'binary',
      rows((score, daysAgo) => (daysAgo < 7 ? Math.min(1, score * 2) : score)),
      monitor,
      now,
    );
    expect(names(found)).toEqual(['label_drift', 'concept_drift']);
    expect(found[0]!.message).toMatch(/4\d % positive before, 6\d % positive in the newest week/);
  });

  it('of numbers drift, and residuals shift', () => {
    const random = new SeededRandom(seed);
    const numbers = rows(stable).map((row) => ({
      ...row,
      score: row.score * 10,
      label: row.score * 10 + random.normal() + (row.at > now - 7 * DAY ? 3 : 0),
    }));
    expect(names(judgeLabels('regression', numbers, monitor, now))).toEqual(['label_drift', 'concept_drift']);
  });
});

it('may start training for decay, or for drift with a certain cost, and for nothing else', () => {
  const cost = (loss: number, low: number, known = true) => ({
    ...{ metric: 'auc', loss, low, high: loss * 2, method: '', known },
  });
  const incident = (id: string, kind: Signal['kind'], own: ReturnType<typeof cost> | null) => ({
    ...{ id, cost: own },
    signals: [{ kind } as Signal],
  });
  expect(lossesOf([incident('a', 'drift', null), incident('b', 'drift', cost(0, 0, false))])).toEqual({
    ...{ decay: null, costlyDrift: null },
  });
  expect(lossesOf([incident('a', 'drift', cost(0.01, -0.01)), incident('b', 'missing', cost(1, 1))])).toEqual(
    {
      ...{ decay: null, costlyDrift: null },
    },
  );
  expect(lossesOf([incident('a', 'decay', null), incident('b', 'domain_drift', cost(0.1, 0.05))])).toEqual({
    ...{ decay: 'a', costlyDrift: 'b' },
  });
});

describe(`quality of several classes before labels come, seed ${seed}`, () => {
  /** The model is overconfident, and from `harder` days ago on its inputs are harder. */
  function classRows(harder: number, aDay = 100): ScoredRow[] {
    const random = new SeededRandom(seed);
    return Array.from({ length: 30 * aDay }, (_v, index) => {
      const daysAgo = 30 - index / aDay;
      const spread = daysAgo < harder ? 0.4 : 2;
      const weights = [0, 1, 2].map(() => Math.exp(random.normal() * spread));
      const sum = weights.reduce((a, b) => a + b);
      const truth = weights.map((one) => one / sum);
      const draw = random.uniform();
      const label = draw < truth[0]! ? 0 : draw < truth[0]! + truth[1]! ? 1 : 2;
      const sure = truth.map((p) => p ** 2);
      const total = sure.reduce((a, b) => a + b);
      const probabilities = sure.map((p) => p / total);
      const score = probabilities.indexOf(Math.max(...probabilities));
      const at = now - daysAgo * DAY;
      return { at, version: 1, score, label, probabilities, predictionId: String(index), row: 0 };
    });
  }
  const week = (at: number) => Math.floor(at / (7 * DAY)) * 7 * DAY;

  it.each(['accuracy', 'macro_f1', 'log_loss'] as const)(
    'is close to the later measurement, in %s',
    (metric) => {
      for (const harder of [0, 9]) {
        const weeks = qualityOverTime(metric, classRows(harder), week).slice(1);
        expect(weeks.length).toBeGreaterThan(3);
        for (const { measured, estimated } of weeks)
          expect(Math.abs(estimated!.value - measured!.value)).toBeLessThan(
            metric === 'log_loss' ? 0.1 : 0.06,
          );
      }
    },
  );

  it('reports expected decay, and none if nothing changed', () => {
    const judgeAt = (harder: number) => {
      const given = classRows(harder, 250).map((row) =>
        row.at >= now - 2 * DAY ? { ...row, label: null } : row,
      );
      return judgeQuality(given, { metric: 'accuracy', monitor, now });
    };
    expect(names(judgeAt(0))).toEqual([]);
    const [found] = judgeAt(2);
    expect(found).toMatchObject({ kind: 'estimated_decay', unit: 'accuracy' });
    expect(found!.message).toMatch(/^estimated accuracy fell from 0\.7\d+ to 0\.4\d+$/);
  });

  it('reports a changed meaning if the model is right less often at the same probability', () => {
    const turned = classRows(0).map((row, index) =>
      row.at >= now - 7 * DAY && index % 2 === 0 ? { ...row, label: ((row.label ?? 0) + 1) % 3 } : row,
    );
    const found = judgeLabels('multiclass', turned, monitor, now);
    expect(names(found)).toEqual(['concept_drift']);
    expect(found[0]!.message).toMatch(/\d+ % right were to be expected of them, \d+ % were/);
    expect(judgeLabels('multiclass', classRows(0), monitor, now)).toEqual([]);
  });
});
