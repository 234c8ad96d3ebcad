import { durationMs } from '@hotloop/model/manifest/duration.ts';
import type { Manifest } from '@hotloop/model/manifest/manifest.ts';
import type { PoolClient } from '@hotloop/platform/postgres/pool.ts';
import { firstPredictionIdAt } from '@hotloop/proto/prediction-id.ts';
import type { LabelledExample } from '../datasets/join.ts';
import type { LabelledPrediction } from '../datasets/read-labels.ts';
import { answerQuality } from './answer-quality.ts';
import { type LoggedOutputs, loggedNumbers } from './logged-outputs.ts';

/** Maximum number of newest predictions that are read. */
const MOST_PREDICTIONS = 100_000;

/** The parts of a logged answer that its quality depends on. */
export interface PredictionRow extends LoggedOutputs, LabelledPrediction {
  readonly version: number;
  readonly variant: string;
  readonly propensity: number;
  /** Null if they were not requested. */
  readonly features: Buffer | null;
}

export interface AnswersAsked {
  readonly model: string;
  readonly versions: readonly number[];
  /** Milliseconds since 1970. */
  readonly since: number;
  /** Whether features are read, which are most of a row's bytes. */
  readonly withFeatures: boolean;
}

/** The newest successful answers of some versions, oldest first. */
export async function readPredictions(
  client: PoolClient,
  { model, versions, since, withFeatures }: AnswersAsked,
): Promise<PredictionRow[]> {
  const { rows } = await client.query<PredictionRow>(
    `SELECT prediction_id, extract(epoch FROM at) * 1000 AS at_ms, version, variant, propensity, entities, candidates, "rows", outputs,
       output_spec, CASE WHEN $4 THEN features END AS features FROM prediction
     WHERE prediction_id >= $1 AND model = $2 AND version = ANY($3) AND variant IN ('live', 'canary', 'shadow')
       AND error_code IS NULL AND outputs IS NOT NULL ORDER BY prediction_id DESC LIMIT ${MOST_PREDICTIONS}`,
    [firstPredictionIdAt(since), model, versions, withFeatures],
  );
  return rows.reverse();
}

/** Quality of one answer with known labels, from 0 to 1; null if its outputs cannot be judged. */
export function qualityOfRow(
  manifest: Manifest,
  row: PredictionRow,
  examples: readonly LabelledExample[],
  rules: Parameters<typeof answerQuality>[2],
): number | null {
  const numbers = loggedNumbers(row, manifest.output);
  if (numbers === null) return null;
  const labels = new Map(examples.map(({ row: index, label }) => [index, label]));
  return answerQuality(manifest, { rows: row.rows, numbers, labels }, rules);
}

/** When the last of its labels became known. */
export function knownAt(examples: readonly LabelledExample[], { outcome }: Manifest): number {
  const windowMs = durationMs(outcome.window);
  return Math.max(...examples.map((example) => example.outcome?.occurredAt ?? example.at + windowMs));
}
