import type { Clock } from '@hotloop/platform/clock.ts';
import type { Queryable } from '@hotloop/platform/postgres/pool.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import type { Tracing } from '@hotloop/platform/telemetry/tracing.ts';
import { HotloopError, toHotloopError } from '@hotloop/proto/errors.ts';
import { type AcceptedOutcome, acceptOutcome, type ReportedOutcome } from './accept-outcome.ts';
import type { ModelRules } from './model-rules.ts';
import { insertOutcomes, reportKey } from './outcome-store.ts';

export const MAX_OUTCOMES_PER_CALL = 10_000;

export interface OutcomeRequest {
  readonly model: string;
  readonly report: ReportedOutcome;
}

export interface OutcomeVerdict {
  readonly id: string;
  readonly status: 'accepted' | 'duplicate' | 'refused';
  readonly error: HotloopError | null;
}

export interface OutcomeDependencies {
  readonly database: Queryable;
  readonly registry: RegistryReader;
  readonly rules: ModelRules;
  readonly tracing: Tracing;
  readonly clock: Clock;
  /** Called with each verdict, for metrics. */
  readonly count?: (model: string, verdict: OutcomeVerdict, predictionId: string | null) => void;
}

/**
 * Stores a batch of reports: invalid ones are refused individually, the others are stored in one statement, each once. Resolves
 * after they are stored, with one verdict for each, in order. Rejects UNAVAILABLE if they could not be stored.
 */
export async function recordOutcomes(
  requests: readonly OutcomeRequest[],
  dependencies: OutcomeDependencies,
): Promise<readonly OutcomeVerdict[]> {
  if (requests.length > MAX_OUTCOMES_PER_CALL)
    throw new HotloopError('INVALID_ARGUMENT', `at most ${MAX_OUTCOMES_PER_CALL} outcomes fit one call`);
  await refreshIfUnknown(requests, dependencies);
  const now = dependencies.clock.now();
  const checked = requests.map((request) => check(request, dependencies.rules, now));
  const accepted = checked.filter((result): result is AcceptedOutcome => !(result instanceof HotloopError));
  const fresh = new Set(await insertOutcomes(dependencies.database, accepted));
  const verdicts = checked.map((result, index): OutcomeVerdict => {
    const id = requests[index]!.report.id;
    if (result instanceof HotloopError) return { id, status: 'refused', error: result };
    // Removed at its first use, so that a repetition within the batch is a duplicate.
    const isNew = fresh.delete(reportKey(result));
    if (isNew) traceOutcome(dependencies.tracing, result);
    return { id, status: isNew ? 'accepted' : 'duplicate', error: null };
  });
  for (const [index, verdict] of verdicts.entries()) {
    const result = checked[index]!;
    const predictionId = result instanceof HotloopError ? null : result.predictionId;
    dependencies.count?.(requests[index]!.model, verdict, predictionId);
  }
  return verdicts;
}

/** A model registered a moment ago may be in the store but not in the snapshot yet. */
async function refreshIfUnknown(
  requests: readonly OutcomeRequest[],
  { registry }: OutcomeDependencies,
): Promise<void> {
  const { models } = registry.current();
  if (requests.some((request) => request.model !== '' && !models.has(request.model)))
    await registry.refresh(AbortSignal.timeout(2_000)).catch(() => undefined);
}

function check(request: OutcomeRequest, rules: ModelRules, now: number): AcceptedOutcome | HotloopError {
  try {
    if (request.model === '')
      throw new HotloopError('INVALID_ARGUMENT', 'model is needed', { reason: 'invalid_outcome' });
    const { manifest, rule } = rules.of(request.model);
    return acceptOutcome(request.report, manifest, rule, now);
  } catch (error) {
    return toHotloopError(error);
  }
}

/** Continues the trace of the prediction, even days later. */
export function traceOutcome(tracing: Tracing, outcome: AcceptedOutcome): void {
  const predictionId = outcome.predictionId;
  if (predictionId === null) return;
  const sampled = tracing.sampled(predictionId);
  if (!sampled) return;
  tracing
    .span('outcome', {
      predictionId,
      sampled,
      kind: 'consumer',
      attributes: {
        'hotloop.model': outcome.model,
        'hotloop.source': outcome.source,
        'hotloop.kind': outcome.kind,
      },
    })
    .end();
}
