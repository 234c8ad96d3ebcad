import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pythonWith } from '@hotloop/compute/testing/python-client.ts';
import { SeededRandom } from '@hotloop/model/onnx/seeded-random.ts';
import { weightedRocAuc } from '@hotloop/model/statistics/area-under-curve.ts';
import { fitPlatt, plattProbability } from '@hotloop/model/statistics/calibration.ts';
import {
  calibratedClasses,
  classesPerformance,
  fitClassCalibration,
} from '@hotloop/model/statistics/class-performance.ts';
import { estimateClassMetric } from '@hotloop/model/statistics/estimated-performance.ts';

const run = promisify(execFile);
const SEED = 14;
const ROWS = 4_000;
const CLASSES = 3;
const TIMEOUT_MS = 180_000;
const INSTALL_MS = 600_000;
const METRICS = ['accuracy', 'macro_f1', 'auc'] as const;
type Metrics = Readonly<Record<(typeof METRICS)[number], number>>;

/** Reads the two files, and returns what NannyML's CBPE estimates for the second one without its labels. */
const NANNYML = `
import json, sys, warnings
warnings.filterwarnings("ignore")
import pandas as pd, nannyml as nml
reference, now = pd.read_csv(sys.argv[1]), pd.read_csv(sys.argv[2])
classes = [name[2:] for name in reference.columns if name.startswith("p_")]
def several(frame):
    frame = frame.copy()
    frame["truth"] = frame["truth"].astype(str)
    frame["pred"] = frame[["p_" + c for c in classes]].idxmax(axis=1).str[2:]
    return frame
def two(frame):
    score = frame["p_0"]
    return pd.DataFrame({"score": score, "pred": (score >= 0.5).astype(int), "truth": (frame["truth"] == 0).astype(int)})
def estimate(frame_of, metrics, **words):
    cbpe = nml.CBPE(y_pred="pred", y_true="truth", metrics=metrics, chunk_size=len(now), **words)
    cbpe.fit(frame_of(reference))
    found = cbpe.estimate(frame_of(now).drop(columns="truth")).filter(period="analysis").to_df()
    return [float(found[(metric, "value")].iloc[0]) for metric in metrics]
proba = {c: "p_" + c for c in classes}
accuracy, f1 = estimate(several, ["accuracy", "f1"], problem_type="classification_multiclass", y_pred_proba=proba)
[auc] = estimate(two, ["roc_auc"], problem_type="classification_binary", y_pred_proba="score")
print(json.dumps({"accuracy": accuracy, "macro_f1": f1, "auc": auc}))
`;

interface Sample {
  readonly rows: readonly Float64Array[];
  readonly labels: readonly number[];
}

/** Rows of three classes from an overconfident model; `spread` sets the difficulty. */
function sampleOf(random: SeededRandom, spread: number): Sample {
  const rows: Float64Array[] = [];
  const labels: number[] = [];
  const shares = (weights: Float64Array) => {
    const sum = weights.reduce((a, b) => a + b, 0);
    return weights.map((one) => one / sum);
  };
  for (let row = 0; row < ROWS; row++) {
    const truth = shares(
      Float64Array.from({ length: CLASSES }, (_v, k) => Math.exp(random.normal() * spread - k * 0.4)),
    );
    let [left, label] = [random.uniform(), 0];
    while (label < CLASSES - 1 && left >= truth[label]!) left -= truth[label++]!;
    labels.push(label);
    rows.push(shares(truth.map((p) => p ** 2)));
  }
  return { rows, labels };
}

const csv = ({ rows, labels }: Sample): string =>
  `p_0,p_1,p_2,truth\n${rows.map((row, at) => `${[...row].join(',')},${labels[at]}`).join('\n')}\n`;

const isFirst = ({ labels }: Sample) => labels.map((label) => (label === 0 ? 1 : 0));
const firstOf = ({ rows }: Sample) => rows.map((row) => row[0]!);

function truthOf(now: Sample): Metrics {
  const known = now.labels.map((label) =>
    Float64Array.from({ length: CLASSES }, (_v, k) => (k === label ? 1 : 0)),
  );
  const positive = isFirst(now);
  const of = (metric: 'accuracy' | 'macro_f1') => classesPerformance(metric, now.rows, known).value;
  const negative = positive.map((one) => 1 - one);
  return {
    ...{ accuracy: of('accuracy'), macro_f1: of('macro_f1') },
    auc: weightedRocAuc(firstOf(now), positive, negative),
  };
}

function estimateOf(past: Sample, now: Sample): Metrics {
  const calibration = fitClassCalibration(past.rows, past.labels);
  const expected = now.rows.map((row) => calibratedClasses(calibration, row));
  const of = (metric: 'accuracy' | 'macro_f1') => classesPerformance(metric, now.rows, expected).value;
  const platt = fitPlatt(firstOf(past), isFirst(past));
  const scores = firstOf(now);
  const probabilities = scores.map((score) => plattProbability(platt, score));
  return {
    ...{ accuracy: of('accuracy'), macro_f1: of('macro_f1') },
    auc: estimateClassMetric('auc', scores, probabilities).value,
  };
}

/**
 * Our estimates without labels, those of NannyML (from PyPI) on the same files, and the values with labels.
 * Additional verification that only prints lines. If NannyML cannot be installed, one line says so.
 */
export async function besideNannyml(say: (line: string) => void): Promise<void> {
  // NannyML needs statsmodels, but does not declare it as a dependency.
  const found = await pythonWith('nannyml', ['nannyml', 'statsmodels', 'pandas<3'], {
    installMs: INSTALL_MS,
  });
  if ('reason' in found) return say(`estimates are not compared with NannyML: ${found.reason}`);
  const random = new SeededRandom(SEED);
  const [past, now] = [sampleOf(random, 1.5), sampleOf(random, 0.8)];
  const folder = await mkdtemp(join(tmpdir(), 'hotloop-nannyml-'));
  try {
    const [before, after] = [join(folder, 'before.csv'), join(folder, 'now.csv')];
    await writeFile(before, csv(past));
    await writeFile(after, csv(now));
    const { stdout } = await run(found.python, ['-c', NANNYML, before, after], { timeout: TIMEOUT_MS });
    const theirs = JSON.parse(stdout) as Metrics;
    const [truth, ours] = [truthOf(now), estimateOf(past, now)];
    for (const metric of METRICS)
      say(
        `${metric} without labels: estimated ${ours[metric].toFixed(4)}, by NannyML ${theirs[metric].toFixed(4)}; the labels show ${truth[metric].toFixed(4)}`,
      );
  } catch (error) {
    const [first] = (error instanceof Error ? error.message : String(error)).split('\n');
    say(`estimates are not compared with NannyML: it failed (${first})`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
