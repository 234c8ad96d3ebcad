import type { ExplainedFeature } from '@hotloop/model/features/explain-features.ts';
import { compileFeaturePlan } from '@hotloop/model/features/feature-plan.ts';
import type { Clock } from '@hotloop/platform/clock.ts';
import { findFresh } from '@hotloop/platform/registry/find-fresh.ts';
import { resolveVersion } from '@hotloop/platform/registry/resolve-version.ts';
import type { RegistryReader } from '@hotloop/platform/registry/snapshot.ts';
import { versionCache } from '@hotloop/platform/registry/version-cache.ts';
import type { HistoryGate } from './history/history-gate.ts';
import type { ImageDecoder } from './images/decode-images.ts';
import type { PredictionCall, PredictionRequest } from './prediction.ts';
import type { ReferenceReader } from './tables/reference-reader.ts';
import { unreadNames } from './unread-names.ts';
import { validateCandidates, validateRequest } from './validate-request.ts';

export interface Explanation {
  readonly model: string;
  readonly version: number;
  readonly features: readonly ExplainedFeature[];
  /** What was unavailable when the features were computed, such as history. */
  readonly degraded: readonly string[];
  /** What the request names and this version does not use, as `unreadNames`. */
  readonly unread: readonly string[];
}

/** Computes the features of a request as `predict` would, with details. Nothing is inferred, decided or logged. */
export interface Explainer extends Disposable {
  /** Rejects as `Predictor.predict` does for the request, the model and its features. */
  explain(request: PredictionRequest, call: PredictionCall): Promise<Explanation>;
}

/** Maximum number of candidates of an explanation, because each is explained in full. */
const MOST_CANDIDATES = 100;

export function createExplainer(
  registry: RegistryReader,
  history: HistoryGate,
  clock: Clock,
  images: ImageDecoder,
  references?: ReferenceReader,
): Explainer {
  const plans = versionCache(registry, (record) => compileFeaturePlan(record.manifest));
  const find = findFresh(registry, () => clock.monotonic());
  return {
    async explain(asked, call) {
      const nowMs = clock.now();
      validateRequest(asked, nowMs);
      const request = { ...asked, candidates: asked.candidates.slice(0, MOST_CANDIDATES) };
      const { record } = await find((snapshot) => resolveVersion(snapshot, request.model, request.version));
      const plan = plans.of(record);
      validateCandidates(request, record.manifest, plan.columns);
      const reads = plan.needsHistory ? plan.reads(request, nowMs) : [];
      const lookups = plan.needsReference ? plan.references(request) : [];
      const [events, found, decoded] = await Promise.all([
        reads.length === 0 ? [] : history.read(reads, call.timeoutMs, call.signal),
        lookups.length === 0 ? [] : (references?.read(lookups, call.timeoutMs) ?? null),
        images.decode(plan, request),
      ]);
      return {
        model: record.model,
        version: record.version,
        features: plan.explain(decoded, events, nowMs, found),
        unread: unreadNames(record.manifest, request),
        degraded: [...(events === null ? ['history'] : []), ...(found === null ? ['reference'] : [])],
      };
    },
    [Symbol.dispose]: () => plans[Symbol.dispose](),
  };
}
