import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { describe, expect, it } from 'vitest';
import type { DatasetPart } from '../datasets/dataset.ts';
import { playedTrainer } from '../testing/labelled-model.ts';
import { allCells } from '../training/feature-cells.ts';
import { crossValidate, foldedRows } from './cross-validate.ts';
import { judgeOnHoldout } from './judge-candidate.ts';
import { nothingToLearn } from './nothing-to-learn.ts';

const manifestOf = (task: string, gate = '') =>
  parseManifest(`name: m
task: ${task}
features:
  - {name: x, from: request.x}
  - {name: country, from: request.country, transform: [{one_hot: [IT, FR]}]}
training: {gate: {min_examples: 10${gate}}}
`);

/** x is uniform; the label is whether it is above a half; the first rows are Italian. */
function part(rows: number, seed: number): DatasetPart {
  const random = new SeededRandom(seed);
  const features = new Float32Array(rows * 3);
  const labels = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const x = random.uniform();
    features.set([x, row % 2 === 0 ? 1 : 0, row % 2], row * 3);
    labels[row] = x > 0.5 ? 1 : 0;
  }
  return {
    ...{ rows, columns: 3, features, labels, weights: new Float32Array(rows).fill(1) },
    groups: Uint32Array.from({ length: rows }, (_, row) => row),
  };
}

const none = { rows: part(0, 1), untried: 0 };

/** Judges a candidate whose score of a row is this function of x and whether it is Italian; live knows nothing. */
async function judged(
  manifest: ReturnType<typeof manifestOf>,
  scoreOf: (x: number, isItalian: boolean) => number,
  corrections = none,
  liveOf: (x: number) => number = () => 0.5,
  frozen: DatasetPart | null = null,
) {
  const trainer = playedTrainer({
    async score({ dataset }) {
      const values = (of: (x: number, isItalian: boolean) => number) =>
        Float32Array.from({ length: dataset.rows }, (_, row) =>
          of(allCells(dataset)[row * 3]!, allCells(dataset)[row * 3 + 1] === 1),
        );
      return [liveOf, scoreOf].map((of) => ({ rowShape: [1], columns: 1, values: values(of) }));
    },
  });
  const bytes = { live: new Uint8Array(100), candidate: new Uint8Array(120) };
  return judgeOnHoldout(
    { manifest, ...bytes, training: part(100, 1), holdout: part(80, 2), corrections, frozen },
    trainer,
    { timeoutMs: 1000 },
  );
}

const outcomes = ({ gate }: Awaited<ReturnType<typeof judged>>) =>
  Object.fromEntries(gate.checks.map(({ name, outcome }) => [name, outcome]));

describe('a candidate on the held-out rows', () => {
  it('is compared with the live version and with the best constant', async () => {
    const judgement = await judged(manifestOf('binary'), (x) => x);
    expect(judgement.gate).toMatchObject({ passed: true, candidate: 1, live: 0.5, baseline: 0.5 });
    expect(judgement.gate.interval?.low).toBeGreaterThan(0.3);
    expect(outcomes(judgement)).toMatchObject({
      calibration: 'reported',
      'prediction drift': 'reported',
      size: 'reported',
    });
  });

  it('is refused when the frozen holdout gets worse, even if the ordinary holdout improves', async () => {
    const frozen = part(60, 7);
    const honest = await judged(manifestOf('binary'), (x) => x, none, undefined, frozen);
    expect(outcomes(honest)).toMatchObject({ 'frozen holdout': 'passed' });
    // Someone turned labels round where feedback reaches: only the frozen rows still say what is right.
    frozen.labels.forEach((label, row) => {
      frozen.labels[row] = 1 - label;
    });
    const poisoned = await judged(manifestOf('binary'), (x) => x, none, undefined, frozen);
    expect(poisoned.gate.passed).toBe(false);
    expect(poisoned.gate.message).toContain('on the frozen holdout is worse by 0.5');
  });

  it('is judged by cross-validation if the holdout would be small', async () => {
    const rows = { ...part(60, 4), folds: Int32Array.from({ length: 60 }, (_, row) => row % 3) };
    const learnt: number[][] = [];
    const trainer = playedTrainer({
      async score({ models, dataset }) {
        // What the fold's training left: the rows that it learnt from.
        const seen = new Set(learnt[models[1]![0]!]);
        const values = Float32Array.from(dataset.groups ?? [], (group) => (seen.has(group) ? 1 : 0));
        const zeros = new Float32Array(dataset.rows);
        return [zeros, values].map((own) => ({ rowShape: [1], columns: 1, values: own }));
      },
    });
    const train = async (part: DatasetPart, fold: number) => {
      learnt[fold] = [...part.groups];
      return Uint8Array.of(fold);
    };
    const limits = { timeoutMs: 1000 };
    const scored = await crossValidate(rows, new Uint8Array(1), undefined, train, trainer, limits);
    expect(learnt.map(({ length }) => length)).toEqual([40, 40, 40]);
    expect(scored.candidate.values).toEqual(new Float32Array(60));
    const one = { ...rows, folds: new Int32Array(60) };
    const refused = crossValidate(one, new Uint8Array(1), undefined, train, trainer, limits);
    await expect(refused).rejects.toMatchObject({ reason: 'one_fold' });
    const folded = parseManifest(
      `name: m\ntask: binary\nfeatures:\n  - {name: x, from: request.x}\ntraining: {data: {folds: 3}}\n`,
    );
    const dataset = { training: part(8, 1), validation: part(0, 1), holdout: part(2, 1), frozen: part(5, 1) };
    expect(foldedRows(folded, dataset)?.rows).toBe(10);
    expect(foldedRows(manifestOf('binary'), dataset)).toBeNull();
  });

  it('is refused for one class, one row or constant columns', () => {
    const manifest = manifestOf('binary');
    const rows = part(30, 5);
    expect(nothingToLearn(manifest, rows)).toBeNull();
    expect(nothingToLearn(manifest, part(1, 5))).toContain('there are 1 rows to learn from; at least 20');
    expect(nothingToLearn(manifest, { ...rows, labels: rows.labels.map(() => 1) })).toContain('one class');
    expect(nothingToLearn(manifest, { ...rows, features: allCells(rows).map(() => 2) })).toContain(
      'all 3 columns are constant',
    );
  });

  it('is refused when its answer is constant, for any task', async () => {
    for (const task of ['binary', 'regression']) {
      const { gate } = await judged(
        manifestOf(task),
        () => 0.49,
        none,
        () => 3,
      );
      expect(gate.passed, task).toBe(false);
      expect(gate.message, task).toContain('no better than always predicting the same');
    }
  });

  it('is refused when a declared slice gets worse, even if the whole improves', async () => {
    const manifest = manifestOf('binary', ', slices: [country], slice_drop: 0.1');
    const judgement = await judged(
      manifest,
      (x, isItalian) => (isItalian ? 1 - x : x + 2),
      none,
      (x) => (x > 0.3 ? 1 : 0),
    );
    expect(outcomes(judgement)).toMatchObject({
      'slice country = IT': 'failed',
      'slice country = FR': 'passed',
    });
    await expect(judged(manifestOf('binary', ', slices: [town]'), (x) => x)).rejects.toThrow(
      'no feature of model m',
    );
  });

  it('is refused when it answers accepted corrections wrongly, unless the manifest allows some', async () => {
    const rows = part(4, 3);
    // An analyst says the opposite of what x says, once.
    rows.labels[0] = 1 - rows.labels[0]!;
    const { gate } = await judged(manifestOf('binary'), (x) => x, { rows, untried: 1 });
    expect(gate.passed).toBe(false);
    expect(gate.message).toContain(
      '1 of 4 accepted corrections are answered wrongly; 1 more are no longer in the log',
    );
    const lenient = await judged(manifestOf('binary', ', corrections: 0.75'), (x) => x, { rows, untried: 0 });
    expect(lenient.gate.passed).toBe(true);
  });

  it('is refused for outputs that are not numbers, and above limits of the manifest', async () => {
    const broken = await judged(manifestOf('binary'), (x) => (x > 0.9 ? Number.NaN : x));
    expect(outcomes(broken)).toMatchObject({ 'finite outputs': 'failed' });
    const limits = ', calibration: 0.01, drift: 0.05, megabytes: 0.00001';
    const limited = await judged(
      manifestOf('binary', limits),
      (x) => x,
      none,
      (x) => x * 0.9,
    );
    expect(outcomes(limited)).toMatchObject({
      calibration: 'failed',
      'prediction drift': 'failed',
      size: 'failed',
    });
  });
});
