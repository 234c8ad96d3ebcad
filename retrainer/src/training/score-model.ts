import { HotloopError } from '@hotloop/proto/errors.ts';
import type * as ort from 'onnxruntime-node';
import { bindInputs } from './bind-inputs.ts';
import { rowTensors } from './row-tensors.ts';
import { openRuntimeSession, runRuntimeSession } from './runtime-session.ts';
import type { TrainingDataset } from './training-dataset.ts';

const batch = 4096;

/** Raw outputs of a model, row-major. */
export interface ModelScores {
  /** Of one row's outputs: [] where the output is [N], [C] where it is [N, C]. */
  readonly rowShape: readonly number[];
  /** Values a row. */
  readonly columns: number;
  /** [rows * columns] */
  readonly values: Float32Array;
  /** Median time of one batch, where models were compared. */
  readonly milliseconds?: number;
}

/**
 * Runs a model over every row of a dataset in this process, as serving would. Runs synchronously inside the runtime.
 *
 * @throws a coded error: INVALID_ARGUMENT for a model that the runtime refuses or whose output is not float32 [N] or
 *   [N, C].
 */
export async function scoreModel(
  modelBytes: Uint8Array,
  dataset: TrainingDataset,
  output: string | undefined,
): Promise<ModelScores> {
  const session = await openRuntimeSession(modelBytes, 1, 'the runtime refuses the model');
  try {
    const name = output ?? session.outputNames[0] ?? '';
    const inputs = bindInputs(declaredInputs(session), dataset);
    let values: Float32Array | undefined;
    let rowShape: readonly number[] = [];
    let columns = 0;
    for (let start = 0; start < dataset.rows; start += batch) {
      const rows = Math.min(batch, dataset.rows - start);
      const refusal = `the model cannot give output '${name}' for rows of ${dataset.columns} columns`;
      const feeds = rowTensors(
        inputs,
        dataset,
        Uint32Array.from({ length: rows }, (_, row) => start + row),
      );
      const results = await runRuntimeSession(session, feeds, [name], refusal);
      const { data, dims = [] } = results[name] ?? {};
      if (!(data instanceof Float32Array) || dims[0] !== rows)
        throw new HotloopError('INVALID_ARGUMENT', `output ${name} is not float32 with one entry a row`);
      rowShape = dims.slice(1);
      columns = data.length / rows;
      values ??= new Float32Array(dataset.rows * columns);
      values.set(data, start * columns);
    }
    return { rowShape, columns, values: values ?? new Float32Array(0) };
  } finally {
    await session.release();
  }
}

function declaredInputs({ inputMetadata }: ort.InferenceSession) {
  return inputMetadata.map((input) => ({
    name: input.name,
    ...(input.isTensor
      ? { elementType: input.type, shape: input.shape }
      : { elementType: 'sequence', shape: null }),
  }));
}

const TIMED_ROWS = 64;
const TIMED_ROUNDS = 15;
const TIMED_MS = 1_000;

/**
 * Median time of one batch of each model, in milliseconds. The models take turns, so that what else the machine does falls on all of
 * them alike. Takes a second at most, or one round.
 */
export async function timeModels(
  models: readonly Uint8Array[],
  dataset: TrainingDataset,
  output: string | undefined,
): Promise<number[]> {
  const rows = Uint32Array.from({ length: Math.min(dataset.rows, TIMED_ROWS) }, (_, row) => row);
  if (rows.length === 0) return [];
  const sessions = await Promise.all(
    models.map((model) => openRuntimeSession(model, 1, 'the runtime refuses the model')),
  );
  try {
    const inputs = sessions.map((session) => bindInputs(declaredInputs(session), dataset));
    const taken = sessions.map((): number[] => []);
    const end = performance.now() + TIMED_MS;
    // The first round warms up.
    for (let round = 0; round <= TIMED_ROUNDS && (round < 2 || performance.now() < end); round++)
      for (const [index, session] of sessions.entries()) {
        const feeds = rowTensors(inputs[index]!, dataset, rows);
        const begun = performance.now();
        await runRuntimeSession(
          session,
          feeds,
          [output ?? session.outputNames[0] ?? ''],
          'the model stopped',
        );
        if (round > 0) taken[index]!.push(performance.now() - begun);
      }
    return taken.map((times) => times.sort((a, b) => a - b)[times.length >> 1]!);
  } finally {
    for (const session of sessions) await session.release();
  }
}
