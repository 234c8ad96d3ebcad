import { execFile } from 'node:child_process';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CONVERT_SCRIPT } from '@hotloop/cli/convert-script.ts';
import { inspectModel } from '@hotloop/model/onnx/inspect.ts';
import { ParquetWriter } from '@hotloop/platform/parquet/parquet-file.ts';
import { scoreModel } from '@hotloop/retrainer/training/score-model.ts';
import { describe, expect, it } from 'vitest';

const run = promisify(execFile);
const TRAINERS = fileURLToPath(new URL('../deploy/engines/trainers', import.meta.url));
const ROWS = 120;

/** Which of these packages the `python3` of the PATH has; none where there is no Python. */
async function packagesOf(names: readonly string[]): Promise<readonly string[]> {
  const look = `import importlib.util as u, sys; print(*[n for n in sys.argv[1:] if u.find_spec(n)])`;
  const { stdout } = await run('python3', ['-c', look, ...names]).catch(() => ({ stdout: '' }));
  return stdout.trim().split(' ');
}

const DATA = `
import numpy as np
x = np.random.default_rng(0).normal(size=(200, 4)).astype("float32"); y = (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(int)
`;

/** How each library writes a model, and what `hotloop model convert` needs of Python. */
const FORMATS: readonly [format: string, file: string, needs: string, make: string, columns?: number][] = [
  [
    ...(['sklearn', 'm.pkl', 'sklearn skl2onnx onnxruntime joblib'] as const),
    'import joblib; from sklearn.pipeline import make_pipeline; from sklearn.preprocessing import StandardScaler\nfrom sklearn.linear_model import LogisticRegression; joblib.dump(make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y), PATH)',
  ],
  [
    ...(['xgboost', 'm.ubj', 'xgboost onnxmltools onnxruntime'] as const),
    'import xgboost; xgboost.XGBClassifier(n_estimators=5).fit(x, y).get_booster().save_model(PATH)',
  ],
  [
    ...(['lightgbm', 'm.txt', 'lightgbm onnxmltools onnxruntime'] as const),
    'import lightgbm; lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(x, y).booster_.save_model(PATH)',
  ],
  [
    ...(['pmml', 'm.pmml', 'sklearn_pmml_model skl2onnx onnxruntime'] as const),
    `open(PATH, "w").write('<PMML version="4.4" xmlns="http://www.dmg.org/PMML-4_4"><Header/><DataDictionary><DataField name="y" optype="categorical" dataType="string"><Value value="no"/><Value value="yes"/></DataField><DataField name="a" optype="continuous" dataType="double"/></DataDictionary><RegressionModel functionName="classification" normalizationMethod="logit"><MiningSchema><MiningField name="y" usageType="target"/><MiningField name="a"/></MiningSchema><RegressionTable targetCategory="yes" intercept="0.3"><NumericPredictor name="a" coefficient="1.2"/></RegressionTable><RegressionTable targetCategory="no" intercept="0"/></RegressionModel></PMML>')`,
  ],
  [
    ...(['keras', 'm.keras', 'tensorflow tf2onnx onnxruntime'] as const),
    'import tensorflow as tf; tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(1, "sigmoid")]).save(PATH)',
  ],
  [
    ...(['torch', 'm.pt', 'torch onnx onnxruntime'] as const),
    'import torch; torch.save(torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Sigmoid()), PATH)',
    4,
  ],
  [
    ...(['mlflow', 'm', 'mlflow skops sklearn skl2onnx onnxruntime yaml'] as const),
    'import mlflow.sklearn; from sklearn.linear_model import LogisticRegression; mlflow.sklearn.save_model(LogisticRegression().fit(x, y), PATH)',
  ],
];

const EXAMPLES: readonly [script: string, needs: string, inputs: number][] = [
  ['train_sklearn.py', 'sklearn skl2onnx pyarrow pandas', 1],
  ['train_lightgbm.py', 'lightgbm onnxmltools pyarrow pandas', 1],
  ['train_torch.py', 'torch onnx pyarrow pandas', 1],
  ['train_columns.py', 'sklearn skl2onnx pyarrow pandas', 2],
];
const NEEDED = [...FORMATS.map(([, , needs]) => needs), ...EXAMPLES.map(([, needs]) => needs)];
const installed = packagesOf([...new Set(NEEDED.flatMap((needs) => needs.split(' ')))]);

describe('a model of another library', { timeout: 180_000 }, () => {
  it.each(FORMATS)('becomes ONNX with the same answers: %s', async (format, file, needs, make, columns) => {
    const wanted = needs.split(' ');
    const found = await installed;
    if (wanted.some((name) => !found.includes(name))) {
      console.warn(`not run: python3 has not all of ${needs}`);
      return;
    }
    await using folder = await mkdtempDisposable(join(tmpdir(), 'convert-'));
    const [path, output] = [join(folder.path, file), join(folder.path, 'model.onnx')];
    await run('python3', ['-c', `${DATA}\nPATH = ${JSON.stringify(path)}\n${make}`]);
    const job = JSON.stringify({ path, output, format, columns: columns ?? null, shape: null });
    const { stdout } = await run('python3', ['-c', CONVERT_SCRIPT, job], { maxBuffer: 1 << 24 });
    const told = JSON.parse(stdout.trim().split('\n').at(-1)!) as { compared: number; difference: number };
    expect(told.compared).toBe(200);
    expect(told.difference).toBeLessThan(1e-4);
    expect(inspectModel(await readFile(output)).inputs).toHaveLength(1);
  });
});

/** Two numbers and, where asked for, a city; the label is whether the first is above 0, or missing: then it is NaN. */
async function writeRows(path: string, hasCity: boolean, missing = false): Promise<void> {
  await using writer = await ParquetWriter.create(path, [
    ...(['prediction_id', 'part', 'source'] as const).map((name) => ({ name, type: 'text' }) as const),
    ...(['row', 'version', 'group', 'fold'] as const).map((name) => ({ name, type: 'int32' }) as const),
    ...(['at', 'label', 'weight', 'price'] as const).map((name) => ({ name, type: 'float' }) as const),
    { name: 'other', type: hasCity ? 'text' : 'float' },
  ]);
  const rows = Array.from({ length: ROWS }, (_, row) => row);
  const numbers = Float32Array.from(rows, (row) => ((row * 37) % 101) / 50 - 1);
  const isMissing = (row: number) => missing && row % 3 === 0;
  await writer.writeGroup([
    ...[rows.map(String), rows.map((row) => (row < 100 ? 'training' : 'holdout')), rows.map(() => '')],
    ...[0, 1, 2, 3].map(() => new Int32Array(ROWS)),
    new Float32Array(ROWS),
    numbers.map((value, row) => (value > 0 || isMissing(row) ? 1 : 0)),
    new Float32Array(ROWS).fill(1),
    numbers.map((value, row) => (isMissing(row) ? Number.NaN : value)),
    hasCity ? rows.map((row) => (row % 2 === 0 ? 'Ulm' : 'Köln')) : numbers.toReversed(),
  ]);
  await writer.finish();
}

describe('an external trainer in Python', { timeout: 180_000 }, () => {
  it.each(EXAMPLES)('of the examples produces a model: %s', async (script, needs, inputs) => {
    const wanted = needs.split(' ');
    const found = await installed;
    if (wanted.some((name) => !found.includes(name))) {
      console.warn(`not run: python3 has not all of ${needs}`);
      return;
    }
    await using folder = await mkdtempDisposable(join(tmpdir(), 'trainer-'));
    await writeRows(join(folder.path, 'dataset.parquet'), inputs === 2);
    const columns = [
      { name: 'price', dtype: 'float32', width: 1, shape: [1] },
      { name: 'other', dtype: 'string', width: 1, shape: [1] },
    ];
    const settings = { seed: 1, epochs: 2, batch: 32, trees: 5, inputs: columns };
    await writeFile(join(folder.path, 'settings.json'), JSON.stringify(settings));
    await run('python3', [join(TRAINERS, script)], { cwd: folder.path });
    const left = inspectModel(await readFile(join(folder.path, 'model.onnx')));
    expect(left.inputs).toHaveLength(inputs);
    expect(left.outputs).toHaveLength(1);
    expect(JSON.parse(await readFile(join(folder.path, 'metrics.json'), 'utf8'))).toBeTypeOf('object');
  });

  it.each(EXAMPLES.slice(0, 2))('learns what a missing value says, as NaN: %s', async (script, needs) => {
    const wanted = needs.split(' ');
    const found = await installed;
    if (wanted.some((name) => !found.includes(name))) {
      console.warn(`not run: python3 has not all of ${needs}`);
      return;
    }
    await using folder = await mkdtempDisposable(join(tmpdir(), 'trainer-'));
    await writeRows(join(folder.path, 'dataset.parquet'), false, true);
    await writeFile(join(folder.path, 'settings.json'), JSON.stringify({ seed: 1, trees: 20 }));
    await run('python3', [join(TRAINERS, script)], { cwd: folder.path });
    const rows = {
      ...{ rows: 3, columns: 2, features: Float32Array.of(Number.NaN, 0, -0.9, 0, 0.9, 0) },
      ...{ labels: new Float32Array(3), weights: new Float32Array(3) },
    };
    const { values, columns } = await scoreModel(
      await readFile(join(folder.path, 'model.onnx')),
      rows,
      undefined,
    );
    const [missing, below, above] = [0, 1, 2].map((row) => values[row * columns + columns - 1]!);
    expect(missing).toBeGreaterThan(0.5);
    expect(below).toBeLessThan(0.5);
    expect(above).toBeGreaterThan(0.5);
  });
});
