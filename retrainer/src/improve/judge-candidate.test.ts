import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { describe, expect, it } from 'vitest';
import type { DatasetPart } from '../datasets/dataset.ts';
import { playedTrainer } from '../testing/labelled-model.ts';
import { judgeOnHoldout } from './judge-candidate.ts';

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
) {
  const trainer = playedTrainer({
    async score({ dataset }) {
      const values = (of: (x: number, isItalian: boolean) => number) =>
        Float32Array.from({ length: dataset.rows }, (_, row) =>
          of(dataset.features[row * 3]!, dataset.features[row * 3 + 1] === 1),
        );
      return [liveOf, scoreOf].map((of) => ({ rowShape: [1], columns: 1, values: values(of) }));
    },
  });
  const bytes = { live: new Uint8Array(100), candidate: new Uint8Array(120) };
  return judgeOnHoldout(
    { manifest, ...bytes, training: part(100, 1), holdout: part(80, 2), corrections },
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

  it('is refused when it always says the same, whatever the task', async () => {
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

  it('is refused when a declared slice gets worse, though the whole gets better', async () => {
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

  it('is refused for outputs that are no numbers, and for what the manifest limits', async () => {
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
