import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { elementCount } from '@hotloop/model/onnx/tensor.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { type EvaluatorDone, type EvaluatorJob, evaluatorFiles } from './evaluator-protocol.ts';
import { type JobLimits, runJobProcess } from './job-process.ts';
import type { ModelScores } from './score-model.ts';
import { type TrainingDataset, writeTrainingDataset } from './training-dataset.ts';

export interface ScoringJob {
  /** ONNX files, each run over all rows. */
  readonly models: readonly Uint8Array[];
  readonly dataset: TrainingDataset;
  /** The output to read; the first when absent. */
  readonly output?: string;
}

export type ScoringOptions = JobLimits;

const mainFile = fileURLToPath(new URL('./evaluator-main.ts', import.meta.url));

/**
 * Scores models in a child process: see `runJobProcess` for when and how it ends.
 *
 * @returns the scores of each model, in order.
 * @throws a coded error: what `scoreModel` throws, or what `runJobProcess` does.
 */
export function scoreInProcess(job: ScoringJob, options: ScoringOptions): Promise<readonly ModelScores[]> {
  return runJobProcess<never, EvaluatorDone, readonly ModelScores[]>({
    ...options,
    activity: 'scoring',
    mainFile,
    prepare: async (directory) => {
      const output = job.output === undefined ? {} : { output: job.output };
      const description: EvaluatorJob = { models: job.models.length, ...output };
      await writeFile(join(directory, evaluatorFiles.job), JSON.stringify(description));
      await writeTrainingDataset(join(directory, evaluatorFiles.dataset), job.dataset);
      for (const [index, model] of job.models.entries()) {
        await writeFile(join(directory, evaluatorFiles.model(index)), model);
      }
    },
    collect: (directory, models) =>
      Promise.all(
        models.map(async ({ rowShape, milliseconds }, index) => {
          const columns = elementCount(rowShape);
          const bytes = await readFile(join(directory, evaluatorFiles.scores(index)));
          // A copy, because a small file's bytes are a view into a shared buffer and may start unaligned.
          const values = new Float32Array(new Uint8Array(bytes).buffer);
          if (values.length !== job.dataset.rows * columns) {
            throw new HotloopError('DATA_LOSS', 'the scores do not match the rows that were scored');
          }
          return { rowShape, columns, values, ...(milliseconds === null ? {} : { milliseconds }) };
        }),
      ),
  });
}
