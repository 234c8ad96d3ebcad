import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type EvaluatorDone, type EvaluatorJob, evaluatorFiles } from './evaluator-protocol.ts';
import { scoreModel, timeModels } from './score-model.ts';
import { serveJob } from './serve-job.ts';
import { openTrainingDataset } from './training-dataset.ts';

// The scoring process: one job, then the end. Started by `scoreInProcess` only.

await serveJob<never, EvaluatorDone>(async (directory) => {
  const job = JSON.parse(await readFile(join(directory, evaluatorFiles.job), 'utf8')) as EvaluatorJob;
  using dataset = await openTrainingDataset(join(directory, evaluatorFiles.dataset));
  const rowShapes: (readonly number[])[] = [];
  const models: Uint8Array[] = [];
  for (let index = 0; index < job.models; index++) {
    const model = await readFile(join(directory, evaluatorFiles.model(index)));
    models.push(model);
    const { values, rowShape } = await scoreModel(model, dataset, job.output);
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    await writeFile(join(directory, evaluatorFiles.scores(index)), bytes);
    rowShapes.push(rowShape);
  }
  const times = models.length > 1 ? await timeModels(models, dataset, job.output) : null;
  return rowShapes.map((rowShape, index) => ({ rowShape, milliseconds: times?.[index] ?? null }));
});
