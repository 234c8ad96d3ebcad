import { datasetOf, firstVersion } from '@hotloop/deploy/demo/first-version.ts';
import { desksOf, type Letter, letterManifest } from '@hotloop/example-documents/letters.ts';
import { compileFeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import { parseManifest } from '@hotloop/model/manifest/parse-manifest.ts';
import { record } from '@hotloop/model/testing/manifests.ts';
import { trainingSettings } from '@hotloop/model/training/training-settings.ts';
import { allCells } from '@hotloop/retrainer/training/feature-cells.ts';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { type Figure, figure } from '../figure.ts';
import type { LettersData } from '../models/letters-data.ts';

const LIMIT_MS = 600_000;
const BATCH = 512;

/**
 * `documents_accuracy`: the model of examples/documents, trained here on all letters of train.csv and evaluated on
 * those of test.csv.
 */
export async function documentsAccuracy(
  { train, test }: LettersData,
  say: (line: string) => void,
): Promise<Figure[]> {
  const desks = desksOf(train);
  const manifest = parseManifest(letterManifest(desks));
  const sessionOf = ({ text, desk }: Letter) => ({
    input: { request: record<string>({ text }), entities: record<string>({}), candidates: [] },
    past: [],
    labels: [desks.indexOf(desk)],
  });
  say(`training on ${train.length} letters`);
  const onnx = await firstVersion(
    manifest,
    { hidden: [], settings: trainingSettings(manifest), classes: desks.length },
    train.map(sessionOf),
    AbortSignal.timeout(LIMIT_MS),
  );
  const session = await InferenceSession.create(onnx);
  const dataset = datasetOf(compileFeaturePlan(manifest), test.map(sessionOf));
  const { rows, columns, labels } = dataset;
  const features = allCells(dataset);
  let right = 0;
  for (let from = 0; from < rows; from += BATCH) {
    const to = Math.min(rows, from + BATCH);
    const input = new Tensor('float32', features.slice(from * columns, to * columns), [to - from, columns]);
    const outputs = await session.run({ [session.inputNames[0] ?? '']: input });
    const scores = outputs[session.outputNames[0] ?? '']?.data as Float32Array;
    for (let row = from; row < to; row++) {
      const own = scores.subarray((row - from) * desks.length, (row - from + 1) * desks.length);
      if (own.indexOf(Math.max(...own)) === labels[row]) right++;
    }
  }
  return [figure('documents_accuracy', [right / rows], { atLeast: 0.885 })];
}
