import { createHash } from 'node:crypto';
import type { PipelineStep } from '@hotloop/model/manifest/pipeline-schema.ts';
import type { AttributeValue } from '@hotloop/model/value.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { predictionIdOf, predictionTimeMs } from '@hotloop/proto/prediction-id.ts';
import type { Prediction, PredictionRequest } from './prediction.ts';

/** Maximum nesting of pipelines; deeper nesting is treated as a mistake. */
export const MOST_DEPTH = 8;

/**
 * The id of a step's own prediction, derived from the id of the whole, so that a repetition is logged once and the
 * two can be related.
 */
export function stepIdOf(predictionId: string, as: string): string {
  const digest = createHash('sha256').update(`${predictionId}\n${as}`).digest();
  return predictionIdOf(predictionTimeMs(predictionId), digest.subarray(0, 10));
}

/**
 * Runs the steps of a pipeline concurrently, each as a separate prediction with the same request and entities.
 * @returns the request with their answers as additional fields, and what was unavailable in any of them. Rejects with
 * the error of a step, naming it.
 */
export async function runPipeline(
  steps: readonly PipelineStep[],
  request: PredictionRequest,
  depth: number,
  ask: (request: PredictionRequest) => Promise<Prediction>,
): Promise<{ readonly request: PredictionRequest; readonly degraded: readonly string[] }> {
  if (depth >= MOST_DEPTH)
    throw new HotloopError(
      'FAILED_PRECONDITION',
      `the pipeline of ${request.model} is deeper than ${MOST_DEPTH} models`,
      {
        reason: 'pipeline_too_deep',
      },
    );
  const answers = await Promise.all(
    steps.map(async ({ model, version, as }) => {
      const predictionId = stepIdOf(request.predictionId, as);
      const step = { ...request, model, version: String(version), predictionId, candidates: [] };
      return ask({ ...step, wantFeatureStatuses: false }).catch((error: unknown) => {
        if (!(error instanceof HotloopError)) throw error;
        throw new HotloopError(error.code, `step ${as} (${model} version ${version}): ${error.message}`, {
          reason: error.reason,
          cause: error,
        });
      });
    }),
  );
  const fields = Object.assign(Object.create(null) as Record<string, AttributeValue>, request.request);
  for (const [at, { decision }] of answers.entries()) {
    const as = steps[at]?.as ?? '';
    fields[`${as}_score`] = decision.score;
    if (decision.label !== '') fields[`${as}_label`] = decision.label;
    if (decision.scores.length > 0) fields[`${as}_scores`] = [...decision.scores];
  }
  return {
    request: { ...request, request: fields },
    degraded: [...new Set(answers.flatMap((one) => one.degraded))],
  };
}
