import { type FusedRow, fusedFeeds, lacksFlag } from '@hotloop/model/fused/fused-feeds.ts';
import type { FusedInput } from '@hotloop/model/fused/fused-input.ts';
import { readMetadata } from '@hotloop/model/onnx/read-metadata.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import type { PredictionIds } from '@hotloop/proto/prediction-id.ts';
import * as ort from 'onnxruntime-node';

/** One answered row, as it is returned and logged. */
export interface ServerlessPrediction {
  readonly prediction_id: string;
  readonly at: string;
  readonly model: string;
  readonly version: number;
  /** Null when the row was rejected. */
  readonly score: number | null;
  readonly label: string;
}

export interface FusedPredictor {
  readonly model: string;
  readonly version: number;
  /** Answers rows of raw fields, by name. Throws INVALID_ARGUMENT naming the row and the field. */
  predict(rows: readonly FusedRow[], nowMs: number): Promise<ServerlessPrediction[]>;
}

export const MOST_ROWS = 10_000;

/** Loads a fused file: a pinned version that needs no Postgres, Redis or Kafka. */
export async function loadFusedPredictor(onnx: Uint8Array, ids: PredictionIds): Promise<FusedPredictor> {
  const metadata = readMetadata(onnx);
  const model = metadata.get('hotloop.model');
  const version = Number(metadata.get('hotloop.version'));
  if (model === undefined)
    throw new HotloopError(
      'INVALID_ARGUMENT',
      'the file is not a fused model; make one with `hotloop model export MODEL --fused`',
    );
  const inputs = JSON.parse(metadata.get('hotloop.inputs') ?? '[]') as FusedInput[];
  const session = await ort.InferenceSession.create(onnx, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  return {
    model,
    version,
    async predict(rows, nowMs) {
      if (rows.length === 0 || rows.length > MOST_ROWS)
        throw new HotloopError('INVALID_ARGUMENT', `send 1 to ${MOST_ROWS} rows, not ${rows.length}`);
      const named = rows.map((row) => withFullNames(row, inputs));
      const feeds = Object.fromEntries(
        fusedFeeds(inputs, named).map(({ name, type, dims, data }) => [
          name,
          new ort.Tensor(type as 'float64', data as Float64Array, dims),
        ]),
      );
      const { score, label, accepted } = await session.run(feeds);
      return named.map((given, row) => {
        const isAccepted = Boolean(accepted?.data[row]) && !lacksFlag(inputs, given);
        return {
          prediction_id: ids.next(nowMs),
          at: new Date(nowMs).toISOString(),
          ...{ model, version },
          score: isAccepted ? Number(score?.data[row]) : null,
          label: isAccepted ? String(label?.data[row] ?? '') : '',
        };
      });
    },
  };
}

/** A row may name a field as `price` or with its full name, `request.price`. */
function withFullNames(row: FusedRow, inputs: readonly FusedInput[]): FusedRow {
  return Object.fromEntries(
    inputs.map(({ name }) => [name, row[name] ?? row[name.slice(name.indexOf('.') + 1)]]),
  );
}
