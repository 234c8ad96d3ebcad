import type { Decision } from '@hotloop/model/decision/decision.ts';
import { compileDecisionPlan } from '@hotloop/model/decision/decision-plan.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import type { Cancellation } from '@hotloop/platform/framed/cancellation.ts';
import type { Journal } from '@hotloop/platform/journal/journal.ts';
import type { DecideItem, DecisionPort } from '@hotloop/platform/ports/decision.ts';
import { findFresh } from '@hotloop/platform/registry/find-fresh.ts';
import { resolveVersion } from '@hotloop/platform/registry/resolve-version.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { versionCache } from '@hotloop/platform/registry/version-cache.ts';
import type { Tracing } from '@hotloop/platform/telemetry/tracing.ts';
import { HotloopError } from '@hotloop/proto/errors.ts';
import { isPredictionId } from '@hotloop/proto/prediction-id.ts';
import type { DecisionRow } from './decision-table.ts';

export interface DecideDependencies {
  readonly registry: RegistryReader;
  readonly journal: Journal<DecisionRow>;
  readonly tracing: Tracing;
  readonly clock: Clock;
}

/**
 * The implementation of the decision port. Answers only after the decision is in the journal. Additional errors:
 * FAILED_PRECONDITION (the version's manifest has no valid decision), RESOURCE_EXHAUSTED `log_full`, CANCELLED.
 */
export interface Decider extends DecisionPort, Disposable {}

export function createDecider(dependencies: DecideDependencies, node: string): Decider {
  const { registry, journal, tracing, clock } = dependencies;
  const plans = versionCache(registry, (record) => compileDecisionPlan(record.manifest));
  const find = findFresh(registry, () => clock.monotonic());

  async function decide(item: DecideItem, signal?: Cancellation): Promise<Decision> {
    if (!isPredictionId(item.predictionId))
      throw new HotloopError('INVALID_ARGUMENT', 'prediction_id must be a UUIDv7 in lower case');
    const record = await find((snapshot) => {
      const pinned = resolveVersion(snapshot, item.model, String(item.version));
      return pinned.record;
    });
    const plan = plans.of(record);
    if (signal?.aborted) throw new HotloopError('CANCELLED', 'the caller cancelled the decision');
    const decision = plan.decide(item);
    await journal.append({ item, decision, atMs: clock.now(), node }, record.manifest.log.durability);
    return decision;
  }

  return {
    async decide(item, signal) {
      const { predictionId, sampled } = item;
      const span = tracing.span('decision', { predictionId, sampled, kind: 'server' });
      try {
        return await decide(item, signal);
      } catch (error) {
        span.fail(error);
        throw error;
      } finally {
        span.end();
      }
    },
    [Symbol.dispose]: () => plans[Symbol.dispose](),
  };
}
